/* SPDX-License-Identifier: Apache-2.0
 * Where a run's time goes. The calling thread names the phases between its parallel loops:
 *     cvl_phase("lower"); cvl_parallel_for(...); cvl_phase("gemm"); cvl_parallel_for(...); cvl_phase(NULL);
 * Without a profile on this thread, cvl_phase is a load and a branch. */
#ifndef BASE_PROFILE_H
#define BASE_PROFILE_H

#define CVL_PHASES_MAX 8

struct cvl_profile {
    int         count;
    const char *name[CVL_PHASES_MAX];      /* static texts, in order of first use */
    double      seconds[CVL_PHASES_MAX];
    int         current;                   /* -1: none */
    double      since;
};

void cvl_profile_start(struct cvl_profile *profile);   /* this thread's phases go there from now on; clears it */
void cvl_profile_stop(void);
void cvl_phase(const char *name);                      /* ends the current phase; NULL: and begins none */

#endif
