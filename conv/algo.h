/* SPDX-License-Identifier: Apache-2.0
 * The contract of a backend. An algorithm is one file that defines `const struct cvl_algo cvl_algo_NAME` and one
 * line in conv/meson.build; oracle tests, tuner and bench iterate the registry. */
#ifndef CONV_ALGO_H
#define CONV_ALGO_H

#include "base/ctx.h"
#include "base/text.h"
#include "cvl/conv.h"

#define CVL_KNOBS_MAX 12
#define CVL_VARIANTS_MAX 64      /* cuDNN names some 40 */
#define CVL_VARIANTS_USUAL 12    /* of an algorithm that does not ask for more */

/* One setting of an algorithm's knobs, in the order of cvl_algo.knobs; 0 is the default and not printed. */
struct cvl_variant {
    int  knob[CVL_KNOBS_MAX];
    bool nondeterministic;            /* two runs may differ in their last bits */
    unsigned notes;                   /* the algorithm's own, told by its knobs and the problem; no part of a name */
};

struct cvl_algo {
    const char     *name;             /* stable: it is written into cache files */
    int             revision;         /* raise it when speed or numerics change */
    cvl_device_kind device;
    const char   *(*version)(void);   /* of the vendor's library that does the work, "oneDNN 2.6.3"; NULL: none */
    const char   *(*lacks)(void);     /* why the vendor's library, loaded at run time, is not there, or NULL */
    const char     *knobs[CVL_KNOBS_MAX + 1];   /* names, then NULL: {"rows"} makes im2col:rows=14 */
    /* Where knobs are not each a name and a number from 1: ":eng=62:k2=0", and one word of it. NULL: they are. */
    void          (*print_knobs)(const struct cvl_variant *variant, struct cvl_text *text);
    bool          (*read_knob)(const char *word, size_t length, struct cvl_variant *variant);

    /* NULL, or why not: a lower-case reason that a user understands (cvl_reason). */
    const char *(*reject)(const cvl_ctx *ctx, const cvl_conv_desc *desc);
    /* Writes at most max variants, best guess first, and returns how many. NULL: the default alone. max is `most`, of
     * which 0 stands for CVL_VARIANTS_USUAL and none is above CVL_VARIANTS_MAX. */
    int           most;
    int         (*variants)(const cvl_ctx *ctx, const cvl_conv_desc *desc, struct cvl_variant *variants, int max);
    /* Seconds that one run takes, from multiplications and bytes and ctx->rates. */
    double      (*estimate)(const cvl_ctx *ctx, const cvl_conv_desc *desc, const struct cvl_variant *variant);
    /* The largest rel_error that is not a bug, for this problem. */
    double      (*tolerance)(const cvl_conv_desc *desc, const struct cvl_variant *variant);

    size_t      alignment;            /* bytes, of x, w, y, bias and residual; 0: their elements' own will do */
    bool        peer;                 /* for reports: takes part only where it is allowed by name, like the reference */
    bool        blocked;              /* takes x and y as nchw16c; others are asked about nchw and nhwc alone */
    /* Infinities and NaNs do not travel as IEEE says in this problem; the algorithm's head says how. NULL: they do. */
    bool        (*finite_only)(const cvl_conv_desc *desc);
    bool          flushes_denormals;  /* takes denormals for zeros, in some candidates; the algorithm's head says so */

    /* Sets workspace_bytes and, for a filter it packs, packed_bytes and packed_format; refuses knobs out of range
     * with CVL_ENOTFOUND. May keep what it worked out in plan->state, which fini releases. */
    cvl_status  (*init)(cvl_plan *plan);
    cvl_status  (*pack)(const cvl_plan *plan, const cvl_conv_args *args, void *packed);
    cvl_status  (*run)(const cvl_plan *plan, const cvl_conv_args *args, void *workspace);
    void        (*fini)(cvl_plan *plan);
};

struct cvl_plan {
    const cvl_ctx         *ctx;
    const struct cvl_algo *algo;
    cvl_conv_desc          desc;      /* complete and checked */
    struct cvl_variant     variant;
    char                   candidate[CVL_CANDIDATE_MAX];
    size_t                 workspace_bytes;
    size_t                 packed_bytes;       /* 0: reads the raw filter */
    bool                   packed_required;    /* with const_filter: run has no way to read the raw filter */
    /* What the packed bytes look like besides k, c, r, s, groups, types, quant, w_layout, pass and ISA; candidates
     * of one algorithm with equal texts share packed filters. Empty: the candidate's name. */
    char                   packed_format[CVL_CANDIDATE_MAX];
    uint64_t               packed_id;
    void                  *state;              /* the algorithm's own; released by fini */
};

/* What packed_id is of a plan with packed bytes: a hash of all that they depend on. */
uint64_t cvl_plan_packed_identity(const cvl_plan *plan);

#endif
