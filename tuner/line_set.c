/* SPDX-License-Identifier: Apache-2.0
 * Lines live in blocks that are never moved; entries point at them and stand in two hash tables: by key (open
 * addressing), and records also by state and problem (chains). A line that lost against a better one stays in its
 * block until the set is destroyed, so that whoever holds a pointer to it still reads what it read. */
#include "tuner/line_set.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/alloc.h"
#include "base/hash.h"

#define BLOCK_BYTES ((size_t)256 << 10)
#define ENTRIES_MIN 64

struct block {
    struct block *next;
    size_t        used;
    char          bytes[];
};

struct entry {
    const char *text;
    uint32_t    key_hash, problem_hash;
    uint32_t    next;                  /* entry + 1 of the same chain; 0: the last */
    uint16_t    length, key;
    uint8_t     kind;
};

struct cvl_line_set {
    struct entry *entries;
    uint32_t      count, capacity;     /* a power of two */
    uint32_t     *slots;               /* 2 * capacity: entry + 1 by key; 0: empty */
    uint32_t     *chains;              /* capacity: entry + 1 by state and problem; 0: empty */
    struct block *blocks;
};

static uint32_t hash_text(const char *text, size_t length)
{
    uint64_t hash = length, word;
    for (; length >= sizeof word; length -= sizeof word, text += sizeof word) {
        memcpy(&word, text, sizeof word);
        hash = cvl_hash_mix(hash, word);
    }
    word = 0;
    memcpy(&word, text, length);
    return (uint32_t)cvl_hash_mix(hash, word);
}

/* "STATE PROBLEM" of a record's "rec ID STATE PROBLEM CANDIDATE". */
static struct cvl_line problem_part(const char *line, size_t key)
{
    const char *from = line + sizeof "rec 0123456789abcdef";
    const char *to = memrchr(line, ' ', key);
    return (struct cvl_line){ from, (size_t)(to - from) };
}

cvl_status cvl_line_set_create(struct cvl_line_set **set)
{
    *set = cvl_calloc(1, sizeof **set);
    return *set ? CVL_OK : cvl_fail(CVL_ENOMEM, "no memory for a set of cache lines");
}

void cvl_line_set_destroy(struct cvl_line_set *set)
{
    if (!set)
        return;
    for (struct block *block = set->blocks, *next; block; block = next) {
        next = block->next;
        cvl_free(block);
    }
    cvl_free(set->chains);
    cvl_free(set->slots);
    cvl_free(set->entries);
    cvl_free(set);
}

int cvl_line_set_count(const struct cvl_line_set *set)
{
    return (int)set->count;
}

static uint32_t *find_slot(const struct cvl_line_set *set, const char *key, size_t length, uint32_t hash)
{
    const uint32_t mask = 2 * set->capacity - 1;
    for (uint32_t at = hash & mask;; at = (at + 1) & mask) {
        uint32_t *slot = &set->slots[at];
        if (*slot == 0)
            return slot;
        const struct entry *entry = &set->entries[*slot - 1];
        if (entry->key_hash == hash && entry->key == length && memcmp(entry->text, key, length) == 0)
            return slot;
    }
}

static const struct entry *find(const struct cvl_line_set *set, const char *key, size_t length)
{
    const uint32_t slot = set->count ? *find_slot(set, key, length, hash_text(key, length)) : 0;
    return slot ? &set->entries[slot - 1] : NULL;
}

static void link_entry(struct cvl_line_set *set, uint32_t index)
{
    struct entry *entry = &set->entries[index];
    *find_slot(set, entry->text, entry->key, entry->key_hash) = index + 1;
    if (entry->kind == CVL_LINE_REC) {
        uint32_t *chain = &set->chains[entry->problem_hash & (set->capacity - 1)];
        entry->next = *chain;
        *chain = index + 1;
    }
}

static bool grow(struct cvl_line_set *set)
{
    const uint32_t capacity = set->capacity ? 2 * set->capacity : ENTRIES_MIN;
    struct entry *entries = capacity <= INT32_MAX / 2 ? cvl_alloc(capacity * sizeof *entries) : NULL;
    uint32_t *slots = cvl_calloc((size_t)2 * capacity, sizeof *slots);
    uint32_t *chains = cvl_calloc(capacity, sizeof *chains);
    if (!entries || !slots || !chains) {
        cvl_free(chains);
        cvl_free(slots);
        cvl_free(entries);
        return false;
    }
    if (set->count)
        memcpy(entries, set->entries, set->count * sizeof *entries);
    cvl_free(set->chains);
    cvl_free(set->slots);
    cvl_free(set->entries);
    set->entries = entries;
    set->slots = slots;
    set->chains = chains;
    set->capacity = capacity;
    for (uint32_t i = 0; i < set->count; i++)
        link_entry(set, i);
    return true;
}

static const char *keep_text(struct cvl_line_set *set, const char *line, size_t length)
{
    struct block *block = set->blocks;
    if (!block || block->used + length > BLOCK_BYTES - sizeof *block) {
        block = cvl_alloc(BLOCK_BYTES);
        if (!block)
            return NULL;
        *block = (struct block){ .next = set->blocks };
        set->blocks = block;
    }
    char *text = block->bytes + block->used;
    memcpy(text, line, length);
    block->used += length;
    return text;
}

cvl_status cvl_line_set_add(struct cvl_line_set *set, const char *line, size_t length, bool *changed)
{
    enum cvl_line_kind kind;
    size_t key;
    const cvl_status status = cvl_line_check(line, length, &kind, &key);
    if (changed)
        *changed = false;
    if (status != CVL_OK)
        return status;

    const uint32_t hash = hash_text(line, key);
    const uint32_t slot = set->count ? *find_slot(set, line, key, hash) : 0;
    if (slot) {
        const struct entry *entry = &set->entries[slot - 1];
        if (cvl_line_compare(line, length, entry->text, entry->length) <= 0)
            return CVL_OK;
    }
    const char *text = slot || set->count < set->capacity || grow(set) ? keep_text(set, line, length) : NULL;
    if (!text)
        return cvl_fail(CVL_ENOMEM, "no memory for one more cache line after %" PRIu32, set->count);
    if (changed)
        *changed = true;
    if (slot) {
        set->entries[slot - 1].text = text;
        set->entries[slot - 1].length = (uint16_t)length;
        return CVL_OK;
    }
    struct entry *entry = &set->entries[set->count];
    *entry = (struct entry){ .text = text, .length = (uint16_t)length, .key = (uint16_t)key, .key_hash = hash,
                             .kind = (uint8_t)kind };
    if (kind == CVL_LINE_REC) {
        const struct cvl_line part = problem_part(text, key);
        entry->problem_hash = hash_text(part.text, part.length);
    }
    link_entry(set, set->count++);
    return CVL_OK;
}

cvl_status cvl_line_set_merge(struct cvl_line_set *set, const struct cvl_line_set *other)
{
    cvl_status status = CVL_OK;
    for (uint32_t i = 0; i < other->count && status == CVL_OK; i++)
        status = cvl_line_set_add(set, other->entries[i].text, other->entries[i].length, NULL);
    return status;
}

bool cvl_line_set_covers(const struct cvl_line_set *set, const char *line, size_t length)
{
    enum cvl_line_kind kind;
    size_t key;
    if (cvl_line_check(line, length, &kind, &key) != CVL_OK)
        return false;
    const struct entry *entry = find(set, line, key);
    return entry && cvl_line_compare(line, length, entry->text, entry->length) <= 0;
}

static int compare_bytes(const char *a, size_t a_length, const char *b, size_t b_length)
{
    const int order = memcmp(a, b, a_length < b_length ? a_length : b_length);
    return order ? order : (a_length > b_length) - (a_length < b_length);
}

static int by_bytes(const void *a, const void *b)
{
    const struct entry *x = *(const struct entry *const *)a, *y = *(const struct entry *const *)b;
    return compare_bytes(x->text, x->length, y->text, y->length);
}

static cvl_status each_sorted(const struct cvl_line_set *set, cvl_line_fn *fn, void *arg)
{
    const struct entry **order = cvl_alloc((set->count + 1) * sizeof *order);
    if (!order)
        return cvl_fail(CVL_ENOMEM, "no memory to sort %" PRIu32 " cache lines", set->count);
    for (uint32_t i = 0; i < set->count; i++)
        order[i] = &set->entries[i];
    qsort(order, set->count, sizeof *order, by_bytes);
    for (uint32_t i = 0; i < set->count; i++)
        if (!fn(arg, (enum cvl_line_kind)order[i]->kind, order[i]->text, order[i]->length))
            break;
    cvl_free(order);
    return CVL_OK;
}

cvl_status cvl_line_set_each(const struct cvl_line_set *set, bool sorted, cvl_line_fn *fn, void *arg)
{
    if (sorted)
        return each_sorted(set, fn, arg);
    for (uint32_t i = 0; i < set->count; i++)
        if (!fn(arg, (enum cvl_line_kind)set->entries[i].kind, set->entries[i].text, set->entries[i].length))
            break;
    return CVL_OK;
}

/* Puts a line where it belongs among the first `kept` of at most `max`, if it does. */
static void insert_sorted(struct cvl_line *lines, int kept, int max, struct cvl_line line)
{
    int at = kept < max ? kept : max;
    for (; at > 0 && compare_bytes(line.text, line.length, lines[at - 1].text, lines[at - 1].length) < 0; at--)
        if (at < max)
            lines[at] = lines[at - 1];
    if (at < max)
        lines[at] = line;
}

int cvl_line_set_records(const struct cvl_line_set *set, cvl_state state, const char *problem,
                         struct cvl_line *lines, int max)
{
    char part[CVL_LINE_MAX];
    const int length = snprintf(part, sizeof part, "%s %s", cvl_state_name(state), problem);
    if (set->count == 0 || length < 0 || (size_t)length >= sizeof part)
        return 0;
    const uint32_t hash = hash_text(part, (size_t)length);
    int found = 0;
    for (uint32_t at = set->chains[hash & (set->capacity - 1)]; at; at = set->entries[at - 1].next) {
        const struct entry *entry = &set->entries[at - 1];
        const struct cvl_line own = problem_part(entry->text, entry->key);
        if (entry->problem_hash == hash && own.length == (size_t)length && memcmp(own.text, part, own.length) == 0)
            insert_sorted(lines, found++, max, (struct cvl_line){ entry->text, entry->length });
    }
    return found;
}

static const struct entry *find_of(const struct cvl_line_set *set, const char *kind, uint64_t id)
{
    char key[32];
    const int length = snprintf(key, sizeof key, "%s %016" PRIx64, kind, id);
    return find(set, key, (size_t)length);
}

bool cvl_line_set_rates(const struct cvl_line_set *set, uint64_t id, struct cvl_rates *rates)
{
    const struct entry *entry = find_of(set, "rates", id);
    return entry && cvl_rates_parse(entry->text, entry->length, rates, NULL) == CVL_OK;
}

bool cvl_line_set_environment(const struct cvl_line_set *set, uint64_t id, struct cvl_environment *environment)
{
    const struct entry *entry = find_of(set, "env", id);
    return entry && cvl_environment_parse(entry->text, entry->length, environment, NULL) == CVL_OK;
}
