/* SPDX-License-Identifier: Apache-2.0 */
#include "conv/onednn/filter_format.h"

#include "base/text.h"

#include <string.h>

/* The numbers stand in candidates' names, which are stored: only ever append. */
static const char *const formats[] = {
    /* plain: as the GEMM under im2col reads them */
    "goihw", "hwigo", "gohwi", "hwgoi", "hwgio", "ghwio",
    /* f32, and 16 bits without their dot product */
    "gOIhw16i16o", "gOIhw8i8o", "gOIhw4i4o", "gOIhw16o16i", "gOIhw8o8i", "gOIhw4o4i", "gIOhw16o16i", "gIOhw8o8i",
    "gOhwi8o", "gOhwi16o", "gOhwi24o", "gOhwi32o", "gOhwi48o", "gOhwi64o", "gOihw8o", "gOihw16o",
    "gIhwo8i", "gIhwo16i", "gIhwo24i", "gIhwo32i", "gIhwo48i", "gIhwo64i", "gIhow8i", "gIhow16i",
    /* depthwise: blocks of groups */
    "Goihw8g", "Goihw16g", "hwioG8g", "hwioG16g", "hwioG32g",
    /* pairs of 16-bit channels */
    "gOIhw8i16o2i", "gOIhw8o16i2o", "gIOhw8i16o2i", "gIOhw8o16i2o", "gOhwI16o2i", "gOhwI32o2i", "gOhwI48o2i",
    "gOhwI64o2i", "gIhwO16i2o", "gIhwO32i2o", "gIhwO48i2o", "gIhwO64i2o", "gOhIw16o2i",
    /* fours of bytes */
    "gOIhw4i16o4i", "gOIhw2i8o4i", "gOhwI8o4i", "gOhwI16o4i", "gOhwI24o4i", "gOhwI32o4i", "gOhwI48o4i", "gOhwI64o4i",
    "gOhIw16o4i",
    /* rows of a tile of AMX, and what brgemm reads in version 3 */
    "gOhwI16i16o", "gOhwI16i32o", "gOhwI16i48o", "gOhwI16i64o", "gOhwI16i16o2i", "gOhwI16i32o2i", "gOhwI16i48o2i",
    "gOhwI16i64o2i", "gOhwI16i16o4i", "gOhwI16i32o4i", "gOhwI16i48o4i", "gOhwI16i64o4i",
};

enum { FORMATS = sizeof formats / sizeof *formats, NAME_MAX_BYTES = 64 };

static const char axes[] = "goihw";

const char *cvl_filter_format_name(int number)
{
    return number >= 1 && number <= FORMATS ? formats[number - 1] : NULL;
}

/* What a descriptor says of its format: the order of the axes that have more than one block, then the blocks. */
struct shape {
    bool outer[sizeof axes - 1];   /* by letter: has more than one block */
    char name[NAME_MAX_BYTES];     /* "OIhw16i16o" without the axes that have not */
};

static char letter_of(const struct cvl_dnnl_blocking *b, int axis)
{
    return axes[5 - b->ndims + axis];   /* without groups the axes begin at o */
}

static ptrdiff_t blocks_along(const struct cvl_dnnl_blocking *b, int axis, bool *blocked)
{
    ptrdiff_t count = b->dims[axis];
    *blocked = false;
    for (int i = 0; i < b->blocks; i++)
        if (b->axis[i] == axis) {
            count /= b->block[i];
            *blocked = true;
        }
    return count;
}

static void order_axes(const struct cvl_dnnl_blocking *b, int order[DNNL_MAX_NDIMS])
{
    for (int axis = 0; axis < b->ndims; axis++) {
        int at = axis;
        for (; at > 0 && b->strides[order[at - 1]] < b->strides[axis]; at--)
            order[at] = order[at - 1];
        order[at] = axis;
    }
}

static bool shape_of(const struct cvl_dnnl_md *md, struct shape *shape)
{
    struct cvl_dnnl_blocking b;
    struct cvl_text text = { shape->name, sizeof shape->name, 0 };
    int order[DNNL_MAX_NDIMS];
    memset(shape, 0, sizeof *shape);
    if (!cvl_dnnl_md_blocking(md, &b) || b.ndims < 4 || b.ndims > 5)
        return false;
    order_axes(&b, order);
    for (int i = 0; i < b.ndims; i++) {
        bool blocked;
        const char letter = letter_of(&b, order[i]);
        if (blocks_along(&b, order[i], &blocked) > 1) {
            shape->outer[strchr(axes, letter) - axes] = true;
            cvl_text_add(&text, "%c", blocked ? letter - 'a' + 'A' : letter);
        }
    }
    for (int i = 0; i < b.blocks; i++)
        cvl_text_add(&text, "%d%c", (int)b.block[i], letter_of(&b, (int)b.axis[i]));
    return text.used < text.size;
}

/* The letters of a format before its first digit are outer axes. */
static bool fits(const struct shape *shape, const char *format)
{
    const size_t outer = strcspn(format, "0123456789");
    const char *at = shape->name;
    for (size_t i = 0; i < outer; i++) {
        const char small = (char)(format[i] | 0x20);
        if (shape->outer[strchr(axes, small) - axes] && *at++ != format[i])
            return false;
    }
    return strcmp(at, format + outer) == 0;
}

int cvl_filter_format(const struct cvl_dnnl_md *md)
{
    struct shape shape;
    if (!shape_of(md, &shape))
        return 0;
    for (int i = 0; i < FORMATS; i++)
        if (fits(&shape, formats[i]))
            return i + 1;
    return 0;
}
