/* SPDX-License-Identifier: Apache-2.0
 * Open addressing with linear probing over atomic pointers. Nothing is ever removed, so that a reader that meets an
 * empty slot knows that the key was not there when it looked. A grown table is published whole; a reader that still
 * walks the old one misses the newest entries at worst, and asks again under the mutex. */
#include "tuner/plan_table.h"

#include "base/alloc.h"
#include "base/error.h"

#include <stdatomic.h>
#include <string.h>

#define SLOTS_FIRST 64

struct slots {
    struct slots                    *outgrown;
    size_t                           mask, used;
    _Atomic(struct cvl_plan_entry *) at[];
};

struct cvl_plan_table {
    _Atomic(struct slots *) slots;
    struct cvl_plan_entry  *newest;
};

static uint64_t hash_text(const char *text)
{
    return text ? cvl_hash_bytes(text, strlen(text)) : 0;
}

void cvl_plan_key_of(const cvl_conv_desc *desc, const cvl_query *query, struct cvl_plan_key *key)
{
    uint64_t error_bits, hash;
    cvl_conv_key_of(desc, &key->problem);
    key->max_workspace = query->max_workspace;
    key->max_error = query->max_error + 0.0;   /* -0 is 0 */
    key->deterministic = query->deterministic;
    key->allow = query->allow;
    key->deny = query->deny;
    memcpy(&error_bits, &key->max_error, sizeof error_bits);
    hash = cvl_hash_mix(cvl_conv_key_hash(&key->problem) ^ key->max_workspace, error_bits + key->deterministic);
    if (key->allow || key->deny)
        hash = cvl_hash_mix(hash ^ hash_text(key->allow), hash_text(key->deny));
    key->hash = hash;
}

static bool texts_equal(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static bool keys_equal(const struct cvl_plan_key *a, const struct cvl_plan_key *b)
{
    return a->hash == b->hash && cvl_conv_key_equal(&a->problem, &b->problem) &&
           a->max_workspace == b->max_workspace && a->max_error == b->max_error &&
           a->deterministic == b->deterministic && texts_equal(a->allow, b->allow) && texts_equal(a->deny, b->deny);
}

/* The slot that holds the key, or the empty one where it belongs. */
static size_t probe(const struct slots *slots, const struct cvl_plan_key *key, struct cvl_plan_entry **found)
{
    for (size_t i = key->hash & slots->mask;; i = (i + 1) & slots->mask) {
        *found = atomic_load_explicit(&slots->at[i], memory_order_acquire);
        if (!*found || keys_equal(&(*found)->key, key))
            return i;
    }
}

const struct cvl_plan_entry *cvl_plan_table_find(const struct cvl_plan_table *table, const struct cvl_plan_key *key)
{
    struct cvl_plan_entry *found;
    probe(atomic_load_explicit(&table->slots, memory_order_acquire), key, &found);
    return found;
}

static struct slots *create_slots(size_t count, struct slots *outgrown)
{
    struct slots *slots = cvl_calloc(1, sizeof *slots + count * sizeof *slots->at);
    if (slots) {
        slots->mask = count - 1;
        slots->outgrown = outgrown;
    }
    return slots;
}

cvl_status cvl_plan_table_create(struct cvl_plan_table **table)
{
    struct cvl_plan_table *made = cvl_calloc(1, sizeof *made);
    struct slots *slots = create_slots(SLOTS_FIRST, NULL);
    *table = made;
    if (made && slots) {
        atomic_init(&made->slots, slots);
        return CVL_OK;
    }
    cvl_free(slots);
    cvl_free(made);
    *table = NULL;
    return cvl_fail(CVL_ENOMEM, "no memory for a table of plans");
}

static void destroy_entry(struct cvl_plan_entry *entry)
{
    cvl_plan_destroy(entry->plan);
    cvl_free(entry->message);
    cvl_free(entry->results);
    cvl_free(entry);
}

void cvl_plan_table_destroy(struct cvl_plan_table *table)
{
    if (!table)
        return;
    for (struct cvl_plan_entry *entry = table->newest, *older; entry; entry = older) {
        older = entry->older;
        destroy_entry(entry);
    }
    for (struct slots *slots = atomic_load(&table->slots), *outgrown; slots; slots = outgrown) {
        outgrown = slots->outgrown;
        cvl_free(slots);
    }
    cvl_free(table);
}

/* Half full at most: probes stay short, and always end. */
static bool make_room(struct cvl_plan_table *table)
{
    struct slots *old = atomic_load_explicit(&table->slots, memory_order_relaxed), *new;
    if (2 * (old->used + 1) <= old->mask + 1)
        return true;
    new = create_slots(2 * (old->mask + 1), old);
    if (!new)
        return false;
    for (size_t i = 0; i <= old->mask; i++) {
        struct cvl_plan_entry *entry = atomic_load_explicit(&old->at[i], memory_order_relaxed), *found;
        if (entry)
            atomic_init(&new->at[probe(new, &entry->key, &found)], entry);
    }
    new->used = old->used;
    atomic_store_explicit(&table->slots, new, memory_order_release);
    return true;
}

/* One block: the entry, then the copies of the key's strings. */
static struct cvl_plan_entry *copy_entry(const struct cvl_plan_entry *entry)
{
    const size_t allow = entry->key.allow ? strlen(entry->key.allow) + 1 : 0;
    const size_t deny = entry->key.deny ? strlen(entry->key.deny) + 1 : 0;
    struct cvl_plan_entry *copy = cvl_alloc(sizeof *copy + allow + deny);
    if (!copy)
        return NULL;
    char *texts = (char *)(copy + 1);
    *copy = *entry;
    if (allow)
        copy->key.allow = memcpy(texts, entry->key.allow, allow);
    if (deny)
        copy->key.deny = memcpy(texts + allow, entry->key.deny, deny);
    return copy;
}

cvl_status cvl_plan_table_put(struct cvl_plan_table *table, const struct cvl_plan_entry *entry,
                              const struct cvl_plan_entry **stored)
{
    struct cvl_plan_entry *copy = copy_entry(entry), *replaced;
    if (!copy || !make_room(table)) {
        cvl_free(copy);
        return cvl_fail(CVL_ENOMEM, "no memory to keep a plan");
    }
    struct slots *slots = atomic_load_explicit(&table->slots, memory_order_relaxed);
    const size_t slot = probe(slots, &copy->key, &replaced);
    slots->used += !replaced;
    copy->older = table->newest;
    table->newest = copy;
    atomic_store_explicit(&slots->at[slot], copy, memory_order_release);
    *stored = copy;
    return CVL_OK;
}

bool cvl_plan_table_measured(const struct cvl_plan_table *table, const struct cvl_conv_key *problem)
{
    for (const struct cvl_plan_entry *entry = table->newest; entry; entry = entry->older)
        if (entry->measured && cvl_conv_key_equal(&entry->key.problem, problem))
            return true;
    return false;
}
