/* SPDX-License-Identifier: Apache-2.0
 * The processor: its name, its caches, and the instruction-set levels that this build has kernels for.
 *
 * The build writes CVL_ISA_LIST, lowest level first; every *_kern.c is compiled once per level and exports one
 * constant table named NAME_LEVEL, e.g. cvl_direct_kern_avx2. To choose one at run time:
 *     #define DECLARE(level) extern const struct cvl_direct_kern cvl_direct_kern_##level;
 *     CVL_ISA_LIST(DECLARE)
 *     #define ENTRY(level) &cvl_direct_kern_##level,
 *     static const struct cvl_direct_kern *const kerns[] = { CVL_ISA_LIST(ENTRY) };
 *     kerns[ctx->isa]->... */
#ifndef BASE_CPU_H
#define BASE_CPU_H

#include <stddef.h>
#include "cvl_isa_list.h"

#define CVL_ISA_ENUM(level) CVL_ISA_##level,
enum cvl_isa { CVL_ISA_LIST(CVL_ISA_ENUM) CVL_ISA_COUNT };

#define CVL_KERN_PASTE(name, level) name##_##level
#define CVL_KERN_NAME(name, level) CVL_KERN_PASTE(name, level)
#define CVL_KERN(name) CVL_KERN_NAME(name, CVL_ISA_LEVEL)   /* inside of a *_kern.c: the table's own name */


struct cvl_cpu {
    char   model[64];              /* "AMD EPYC ...", spaces squeezed */
    size_t l1d, l2, l3;            /* bytes for one core; l3: of the whole cache; 0 when unknown */
    int    processors;             /* that this process may use */
};

const struct cvl_cpu *cvl_cpu_info(void);

/* Bytes of the third-level cache; 8 MiB where that is unknown. */
static inline size_t cvl_cpu_l3(void) { return cvl_cpu_info()->l3 ? cvl_cpu_info()->l3 : (size_t)1 << 23; }
enum cvl_isa cvl_isa_best(void);                 /* of this build, on this machine */
const char  *cvl_isa_name(enum cvl_isa isa);     /* "avx2" */
int          cvl_isa_parse(const char *name);    /* -1: no such level in this build */
int          cvl_isa_vector_bytes(enum cvl_isa isa);

#endif
