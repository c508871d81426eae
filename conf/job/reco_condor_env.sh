#!/bin/bash
export ATLAS_LOCAL_ROOT_BASE=@ATLAS_LOCAL_ROOT_BASE@
source "$ATLAS_LOCAL_ROOT_BASE/user/atlasLocalSetup.sh"
asetup --input=@ASETUP_INPUT@ @ATHENA@
source @CALYPSO_SETUP@
