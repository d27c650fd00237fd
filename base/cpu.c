/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cpu.h"

#include "base/threads.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Per level: can this machine run it, and how wide are its vectors. The compiler's run-time library asks CPUID, and the
 * operating system whether it keeps the registers. */
#if defined(__x86_64__)
static bool has_generic(void) { return true; }
static bool has_avx2(void) { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
static bool has_avx512(void)
{
    return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")
        && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}
static bool has_avx512vnni(void) { return has_avx512() && __builtin_cpu_supports("avx512vnni"); }
static bool has_avx512bf16(void) { return has_avx512vnni() && __builtin_cpu_supports("avx512bf16"); }
#else
static bool has_generic(void) { return true; }
#if defined(__aarch64__)
static bool has_neon(void) { return true; }
#endif
#endif

#define LEVEL_ENTRY(level) { #level, has_##level },
static const struct { const char *name; bool (*usable)(void); } levels[] = { CVL_ISA_LIST(LEVEL_ENTRY) };

static struct cvl_cpu info;
static enum cvl_isa best;
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* The value of the first line of /proc/cpuinfo that begins with `key`, runs of spaces squeezed; else "unknown". */
static void read_model(const char *key, char *model, size_t size)
{
    char line[256];
    FILE *file = fopen("/proc/cpuinfo", "r");
    snprintf(model, size, "unknown");
    while (file && fgets(line, sizeof line, file)) {
        const char *value = strchr(line, ':');
        if (strncmp(line, key, strlen(key)) != 0 || !value)
            continue;
        size_t used = 0;
        for (const char *c = value + 1; *c && *c != '\n' && used + 1 < size; c++)
            if (*c != ' ' || (used && model[used - 1] != ' '))
                model[used++] = *c;
        while (used && model[used - 1] == ' ')
            used--;
        model[used] = '\0';
        break;
    }
    if (file)
        fclose(file);
}

static bool read_cache_word(int index, const char *name, char *word, size_t size)
{
    char path[96];
    snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu0/cache/index%d/%s", index, name);
    FILE *file = fopen(path, "r");
    const bool found = file && fgets(word, (int)size, file);
    if (file)
        fclose(file);
    return found;
}

/* The kernel's word, "1024K"; else the C library's, which on AMD takes the L3 of the whole socket for one cache. */
static size_t cache_bytes(int level, int sysconf_name)
{
    char word[32];
    for (int index = 0; read_cache_word(index, "level", word, sizeof word); index++) {
        const bool same = atoi(word) == level;
        const bool code = read_cache_word(index, "type", word, sizeof word) && strncmp(word, "Instruction", 11) == 0;
        if (same && !code && read_cache_word(index, "size", word, sizeof word)) {
            char *unit;
            const size_t number = strtoul(word, &unit, 10);
            return number << (*unit == 'K' ? 10 : *unit == 'M' ? 20 : 0);
        }
    }
    const long bytes = sysconf(sysconf_name);
    return bytes > 0 ? (size_t)bytes : 0;
}

static void look(void)
{
    read_model("model name", info.model, sizeof info.model);
    info.l1d = cache_bytes(1, _SC_LEVEL1_DCACHE_SIZE);
    info.l2 = cache_bytes(2, _SC_LEVEL2_CACHE_SIZE);
    info.l3 = cache_bytes(3, _SC_LEVEL3_CACHE_SIZE);
    info.processors = cvl_threads_available();
    for (int isa = 0; isa < CVL_ISA_COUNT; isa++)
        if (levels[isa].usable())
            best = isa;
}

const struct cvl_cpu *cvl_cpu_info(void)
{
    pthread_once(&once, look);
    return &info;
}

enum cvl_isa cvl_isa_best(void)
{
    pthread_once(&once, look);
    return best;
}

const char *cvl_isa_name(enum cvl_isa isa)
{
    return levels[isa].name;
}

int cvl_isa_parse(const char *name)
{
    for (int isa = 0; isa < CVL_ISA_COUNT; isa++)
        if (strcmp(levels[isa].name, name) == 0)
            return isa;
    return -1;
}

int cvl_isa_vector_bytes(enum cvl_isa isa)
{
    return strncmp(levels[isa].name, "avx512", 6) == 0 ? 64 : strcmp(levels[isa].name, "avx2") == 0 ? 32 : 16;
}
