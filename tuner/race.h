/* SPDX-License-Identifier: Apache-2.0
 * Who stays in the rounds. Candidates of one race were sampled side by side, so that two of them compare round by round:
 * what disturbs a round disturbs both, and their ratio is known far better than either's time. */
#ifndef TUNER_RACE_H
#define TUNER_RACE_H

#include "tuner/contender.h"

/* The time of `a` over that of `b`, from the rounds that both took part in; no samples when there was none. */
struct cvl_stats cvl_race_ratio(const struct cvl_measurement *a, const struct cvl_measurement *b);

/* Was `slow` slower for certain, by more than what counts as a tie? */
bool cvl_race_is_apart(const struct cvl_measurement *slow, const struct cvl_measurement *fast);

/* The fastest that was measured right, of all (than NULL) or of those that are no worse than `than` in workspace, error
 * and determinism; NULL: none. */
const struct cvl_contender *cvl_race_best(const struct cvl_arena *arena, const struct cvl_contender *than);

/* Ends the race of those that a further round could not make the winner: dominated and far behind, they are eliminated;
 * else what was measured of them stands, for queries with tighter limits. */
void cvl_race_drop(struct cvl_arena *arena);

/* Is it clear enough who wins? `patient`: else an interval of any width is enough. */
bool cvl_race_is_decided(const struct cvl_arena *arena, bool patient);

/* Compares everybody with the winner, and scales times so that they compare as the rounds do: those that left early are
 * as if they had run to the end, when the machine may have slowed down. */
void cvl_race_finish(struct cvl_arena *arena);

#endif
