/* SPDX-License-Identifier: Apache-2.0
 * Caches laid one over another. A list of places is separated by colons, uppermost first; an empty element stands for
 * the default ones: the user's (CVL_CACHE is not asked again: $XDG_CACHE_HOME/convlab, else ~/.cache/convlab), the
 * project's (./.convlab) and the one shipped with the library (PREFIX/share/convlab). */
#ifndef TUNER_LAYERS_H
#define TUNER_LAYERS_H

#include "tuner/line_set.h"

#define CVL_LAYERS_MAX 16

struct cvl_layers { char *path[CVL_LAYERS_MAX]; bool read_only[CVL_LAYERS_MAX]; int count; };

/* path as in cvl_tuner_options.cache_path; a list of one when something has the whole text as its name; none for "".
 * CVL_ENOMEM; CVL_EINVAL: too many. */
cvl_status cvl_layers_of(const char *path, struct cvl_layers *layers);
void       cvl_layers_free(struct cvl_layers *layers);

/* Adds to `upper` what it does not know: of a problem for which upper has a record of the same environment and state
 * that this build can use, nothing; what upper holds of another revision gives way. Notes of misses stay behind. *upper
 * may be replaced. CVL_ENOMEM. */
cvl_status cvl_layers_lay_under(struct cvl_line_set **upper, const struct cvl_line_set *lower);

#endif
