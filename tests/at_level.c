/* SPDX-License-Identifier: Apache-2.0
 * at_level LEVEL PROGRAM ARGUMENTS...: runs a test program at one ISA level; skips (77) a level this machine lacks. */
#include "base/cpu.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    const int level = argc > 2 ? cvl_isa_parse(argv[1]) : -1;
    if (level < 0) {
        fprintf(stderr, "usage: at_level LEVEL PROGRAM ARGUMENTS...\n");
        return 2;
    }
    if ((enum cvl_isa)level > cvl_isa_best()) {
        printf("skipped: this machine's highest level is %s\n", cvl_isa_name(cvl_isa_best()));
        return 77;
    }
    setenv("CVL_ISA", argv[1], 1);
    execv(argv[2], argv + 2);
    perror(argv[2]);
    return 1;
}
