"""DAGMan: an alignment as a DAG, its nodes' jobs, and the job that is the DAG itself."""
