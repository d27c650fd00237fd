/* SPDX-License-Identifier: Apache-2.0
 * What the linker wants for the targets' few files and no target ever calls: a processor, its devices and threads. */
#include <stdlib.h>

void cvl_isa_best(void);
void cvl_isa_parse(void);
void cvl_isa_name(void);
void cvl_device_get(void);
void cvl_threads_available(void);
void cvl_rates_of(void);
void cvl_rates_measure(void);

void cvl_isa_best(void) { abort(); }
void cvl_isa_parse(void) { abort(); }
void cvl_isa_name(void) { abort(); }
void cvl_device_get(void) { abort(); }
void cvl_threads_available(void) { abort(); }
void cvl_rates_of(void) { abort(); }
void cvl_rates_measure(void) { abort(); }
