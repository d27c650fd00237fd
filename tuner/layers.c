/* SPDX-License-Identifier: Apache-2.0 */
#include "tuner/layers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/alloc.h"
#include "tuner/choose.h"
#include "tuner/cvl_shipped.h"

#define PROJECT ".convlab"

static const char *variable(const char *name)
{
    const char *value = getenv(name);
    return value && value[0] ? value : NULL;
}

static cvl_status add(struct cvl_layers *layers, char *path, bool read_only)
{
    if (!path)
        return cvl_fail(CVL_ENOMEM, "no memory for the path of a cache");
    if (!path[0]) {
        free(path);
        return CVL_OK;
    }
    if (layers->count == CVL_LAYERS_MAX) {
        cvl_fail(CVL_EINVAL, "the cache %s is one too many, expected at most %d places", path, CVL_LAYERS_MAX);
        free(path);
        return CVL_EINVAL;
    }
    layers->read_only[layers->count] = read_only;
    layers->path[layers->count++] = path;
    return CVL_OK;
}

/* The XDG specification has relative paths ignored. */
static char *user_path(void)
{
    const char *xdg = variable("XDG_CACHE_HOME"), *home = variable("HOME");
    char *path = NULL;
    const int length = xdg && xdg[0] == '/' ? asprintf(&path, "%s/convlab", xdg)
                     : home ? asprintf(&path, "%s/.cache/convlab", home) : asprintf(&path, "%s", "");
    return length >= 0 ? path : NULL;
}

static cvl_status add_defaults(struct cvl_layers *layers)
{
    cvl_status status = add(layers, user_path(), false);
    if (status == CVL_OK)
        status = add(layers, strdup(PROJECT), true);
    return status == CVL_OK ? add(layers, strdup(CVL_SHIPPED_CACHE), true) : status;
}

cvl_status cvl_layers_of(const char *path, struct cvl_layers *layers)
{
    const char *list = path ? path : variable("CVL_CACHE");
    cvl_status status = CVL_OK;
    *layers = (struct cvl_layers){ .count = 0 };
    if (!list)
        status = add_defaults(layers);
    else if (!strchr(list, ':') || access(list, F_OK) == 0)
        status = add(layers, strdup(list), false);
    else
        for (const char *at = list; status == CVL_OK; at++) {
            const size_t length = strcspn(at, ":");
            status = length ? add(layers, strndup(at, length), false) : add_defaults(layers);
            at += length;
            if (!*at)
                break;
        }
    if (status != CVL_OK)
        cvl_layers_free(layers);
    return status;
}

void cvl_layers_free(struct cvl_layers *layers)
{
    for (int i = 0; i < layers->count; i++)
        free(layers->path[i]);
    layers->count = 0;
}

struct laying {
    const struct cvl_line_set *upper;
    struct cvl_line_set       *kept;
    struct cvl_record          last;      /* whose problem was looked for last, */
    bool                       shadowed;  /* and whether it is there */
    bool                       hidden;    /* a line of upper that this build cannot use would win */
    cvl_status                 status;
};

static bool is_current(const struct cvl_record *record)
{
    char algorithm[CVL_CANDIDATE_MAX];
    snprintf(algorithm, sizeof algorithm, "%.*s", (int)strcspn(record->candidate, ":"), record->candidate);
    return record->samples > 0 && cvl_build_revision(algorithm) == record->revision;
}

static bool knows(const struct cvl_line_set *set, const struct cvl_record *of)
{
    const int count = cvl_line_set_records(set, of->state, of->problem, NULL, 0);
    struct cvl_line *lines = count ? cvl_alloc((size_t)count * sizeof *lines) : NULL;
    struct cvl_record record;
    bool known = false;
    if (lines)
        cvl_line_set_records(set, of->state, of->problem, lines, count);
    for (int i = 0; i < count && lines && !known; i++)
        known = cvl_record_parse(lines[i].text, lines[i].length, &record) == CVL_OK &&
                record.environment == of->environment && is_current(&record);
    cvl_free(lines);
    return known;
}

/* Records of one problem stand together in most files: the last answer is kept. */
static bool is_shadowed(struct laying *laying, const struct cvl_record *record)
{
    if (record->environment != laying->last.environment || record->state != laying->last.state ||
        strcmp(record->problem, laying->last.problem) != 0) {
        laying->last = *record;
        laying->shadowed = knows(laying->upper, record);
    }
    return laying->shadowed;
}

static bool lay(void *arg, enum cvl_line_kind kind, const char *line, size_t length)
{
    struct laying *laying = arg;
    struct cvl_record record;
    if (kind == CVL_LINE_WANT ||
        (kind == CVL_LINE_REC && (cvl_record_parse(line, length, &record) != CVL_OK || is_shadowed(laying, &record))))
        return true;
    laying->hidden |= kind == CVL_LINE_REC && cvl_line_set_covers(laying->upper, line, length);
    laying->status = cvl_line_set_add(laying->kept, line, length, NULL);
    return laying->status == CVL_OK;
}

static bool copy_usable(void *arg, enum cvl_line_kind kind, const char *line, size_t length)
{
    struct laying *laying = arg;
    struct cvl_record record;
    if (kind == CVL_LINE_REC && cvl_record_parse(line, length, &record) == CVL_OK && !is_current(&record))
        return true;
    laying->status = cvl_line_set_add(laying->kept, line, length, NULL);
    return laying->status == CVL_OK;
}

cvl_status cvl_layers_lay_under(struct cvl_line_set **upper, const struct cvl_line_set *lower)
{
    struct laying laying = { .upper = *upper };
    cvl_status status = cvl_line_set_create(&laying.kept);
    if (status == CVL_OK)
        status = cvl_line_set_each(lower, false, lay, &laying);
    if (status == CVL_OK)
        status = laying.status;
    if (status == CVL_OK && laying.hidden) {
        status = cvl_line_set_each(*upper, false, copy_usable, &laying);
        status = status == CVL_OK ? laying.status : status;
    } else if (status == CVL_OK) {
        status = cvl_line_set_merge(*upper, laying.kept);
    }
    if (status == CVL_OK && laying.hidden) {
        cvl_line_set_destroy(*upper);
        *upper = laying.kept;
        return CVL_OK;
    }
    cvl_line_set_destroy(laying.kept);
    return status;
}
