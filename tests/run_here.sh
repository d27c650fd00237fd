#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# run_here.sh HOST COMMAND: what ssh would do on another machine.
shift
exec sh -c "$*"
