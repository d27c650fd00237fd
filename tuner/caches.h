/* SPDX-License-Identifier: Apache-2.0
 * What the processor's caches hold when a sample begins: the state that is measured. */
#ifndef TUNER_CACHES_H
#define TUNER_CACHES_H

#include "tuner/contender.h"

/* Does it touch so much of the third-level cache that one run of its own does not make it hot? */
bool cvl_caches_are_filled(const struct cvl_arena *arena, const struct cvl_contender *contender);

/* For the candidate's next sample, as the arena's state says. Hot are the caches after runs of its own, which are not
 * timed: none when it ran last, or when its runs are long and the caches hold all that the candidates touch; else one;
 * of a candidate that fills them, as many as make it faster. */
cvl_status cvl_caches_prepare(struct cvl_arena *arena, const struct cvl_contender *contender);

#endif
