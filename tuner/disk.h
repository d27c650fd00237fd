/* SPDX-License-Identifier: Apache-2.0
 * What the cache asks of a file system. */
#ifndef TUNER_DISK_H
#define TUNER_DISK_H

#include "cvl/base.h"

uint64_t   cvl_disk_random(void);               /* for names that nobody else draws */
char      *cvl_disk_resolve(const char *path);  /* what a symbolic link names, else path; to be freed; or NULL */
cvl_status cvl_disk_sync_parent(const char *path);     /* the directory entry of path is durable: CVL_EIO */
cvl_status cvl_disk_make_directory(const char *path);  /* and its parents, durable; CVL_EIO says which and why */

/* The names in a directory that end in suffix and do not begin with a dot. */
struct cvl_names { char **name; int count; };
cvl_status cvl_names_list(struct cvl_names *names, const char *directory, const char *suffix);   /* CVL_EIO */
cvl_status cvl_names_add(struct cvl_names *names, const char *name);
bool       cvl_names_have(const struct cvl_names *names, const char *name);
void       cvl_names_free(struct cvl_names *names);

#endif
