/* SPDX-License-Identifier: Apache-2.0 */
#include "base/profile.h"

#include "base/clock.h"

#include <stddef.h>
#include <string.h>

static _Thread_local struct cvl_profile *active;

void cvl_profile_start(struct cvl_profile *profile)
{
    *profile = (struct cvl_profile){ .current = -1 };
    active = profile;
}

void cvl_profile_stop(void)
{
    cvl_phase(NULL);
    active = NULL;
}

/* The phase's place; phases past the table's end share the last one. Names are compared as texts. */
static int place(struct cvl_profile *profile, const char *name)
{
    for (int i = 0; i < profile->count; i++)
        if (strcmp(profile->name[i], name) == 0)
            return i;
    if (profile->count == CVL_PHASES_MAX)
        return CVL_PHASES_MAX - 1;
    profile->name[profile->count] = name;
    return profile->count++;
}

void cvl_phase(const char *name)
{
    struct cvl_profile *profile = active;
    if (!profile)
        return;
    const double now = cvl_now();
    if (profile->current >= 0)
        profile->seconds[profile->current] += now - profile->since;
    profile->current = name ? place(profile, name) : -1;
    profile->since = now;
}
