/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TUNER_TUNER_OPTIONS_H
#define TUNER_TUNER_OPTIONS_H

#include "cvl/tuner.h"

/* CVL_EINVAL and a sentence when CVL_MODE, CVL_MAX_WORKSPACE, CVL_MAX_ERROR or CVL_DETERMINISTIC cannot be read. */
cvl_status cvl_tuner_environment_check(void);

#endif
