/* SPDX-License-Identifier: Apache-2.0
 * A target without libFuzzer: every seed as it is, and so many mutations of it from a seed that is printed.
 * fuzz_NAME SEEDS-FOLDER [MUTATIONS] */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "base/random.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

enum { BYTES_MAX = 1 << 16 };

/* A byte flipped, dropped, doubled, replaced; or a piece moved elsewhere. */
static size_t mutate(struct cvl_random *random, uint8_t *bytes, size_t count)
{
    const int changes = 1 + cvl_random_below(random, 8);
    for (int i = 0; i < changes && count > 1 && count < BYTES_MAX - 1; i++) {
        const size_t at = (size_t)cvl_random_below(random, (int)count);
        const size_t length = 1 + (size_t)cvl_random_below(random, (int)(count - at < 40 ? count - at : 40));
        switch (cvl_random_below(random, 5)) {
        case 0: bytes[at] ^= (uint8_t)(1 << cvl_random_below(random, 8)); break;
        case 1: bytes[at] = (uint8_t)cvl_random_below(random, 256); break;
        case 2: memmove(bytes + at, bytes + at + length, count - at - length); count -= length; break;
        case 3: memmove(bytes + at + 1, bytes + at, count - at); count++; break;
        case 4: memmove(bytes + (size_t)cvl_random_below(random, (int)(count - length + 1)), bytes + at, length); break;
        }
    }
    return count;
}

static int run(struct cvl_random *random, const char *path, int mutations)
{
    static uint8_t seed[BYTES_MAX], bytes[BYTES_MAX];
    FILE *file = fopen(path, "rb");
    if (!file)
        return 0;
    const size_t count = fread(seed, 1, sizeof seed / 2, file);
    fclose(file);
    LLVMFuzzerTestOneInput(seed, count);
    for (int i = 0; i < mutations; i++) {
        memcpy(bytes, seed, count);
        LLVMFuzzerTestOneInput(bytes, mutate(random, bytes, count));
    }
    return 1;
}

int main(int argc, char **argv)
{
    const char *word = getenv("CVL_TEST_SEED");
    struct cvl_random random = { word ? strtoull(word, NULL, 10) : (uint64_t)time(NULL) };
    const int mutations = argc > 2 ? atoi(argv[2]) : 300;
    DIR *folder = argc > 1 ? opendir(argv[1]) : NULL;
    const struct dirent *entry;
    int seeds = 0;
    printf("seed %llu\n", (unsigned long long)random.state);
    fflush(stdout);
    while (folder && (entry = readdir(folder))) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", argv[1], entry->d_name);
        if (entry->d_name[0] != '.')
            seeds += run(&random, path, mutations);
    }
    if (folder)
        closedir(folder);
    printf("%d seeds, %d mutations of each\n", seeds, mutations);
    return seeds == 0;
}
