/* SPDX-License-Identifier: Apache-2.0
 * Pooling: what another measurement adds to the stored records of a problem. Times differ from process to process by
 * more than an interval measured inside one of them says (where memory came to lie, what state the machine is in), so a
 * pooled record's interval covers what differed between the runs as well, and a pair whose order flips becomes a tie.
 *
 * The logarithm of a time is taken as candidate + run + what is left. The run's part, common to all candidates, is the
 * median over those of both measurements (median polish of a two-way table: Tukey, Exploratory Data Analysis, 1977). A
 * candidate's estimates are then pooled by a random-effects model (DerSimonian and Laird, Meta-analysis in clinical
 * trials, Controlled Clinical Trials 7, 1986): weights are the inverse of variance between runs + variance of a
 * sample / samples. Two values tell a variance badly, so it is shrunk towards that of the problem's other candidates
 * (Smyth, Linear models and empirical Bayes methods, Stat. Appl. Genet. Mol. Biol. 3, 2004). */
#ifndef TUNER_POOL_H
#define TUNER_POOL_H

#include "base/error.h"
#include "tuner/record.h"

/* stored: what is known, of one environment, state and problem; measured: what one measurement of some or all of these
 * candidates found, timed or wrong. Afterwards a measured record that has a stored counterpart of its revision holds
 * both: samples and runs add up, so that it wins every merge. Without a counterpart it stays as measured, but for the
 * run's part.
 *
 * Times are those of a run between the stored ones and the new one. They stay at the level of the stored ones when a
 * candidate that may be among the fastest was not measured again, and has to compare with the others as it is. A
 * measurement that ended before anybody had an interval adds nothing to one that did not: those records come back as
 * they are stored. One found wrong takes the place of its record. The same for every order of the records. CVL_ENOMEM:
 * all is as it was. */
cvl_status cvl_pool(const struct cvl_record *stored, int stored_count, struct cvl_record *measured, int measured_count);

#endif
