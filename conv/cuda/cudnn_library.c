/* SPDX-License-Identifier: Apache-2.0 */
#include "conv/cuda/cudnn_library.h"

#include "base/error.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define LIBRARY "libcudnn.so.9"
#define OLDEST 90000

static struct cvl_cudnn table;
static char lacks[384], version[32] = "cuDNN";
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void *open_library(void)
{
    const char *path = getenv("CVL_CUDNN");
    char file[4096];
    struct stat is;
    if (path && *path) {
        const bool folder = stat(path, &is) == 0 && S_ISDIR(is.st_mode);
        snprintf(file, sizeof file, "%s%s", path, folder ? "/" LIBRARY : "");
    }
    void *library = dlopen(path && *path ? file : LIBRARY, RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        const char *why = dlerror();
        snprintf(lacks, sizeof lacks, "cuDNN is not found: %.256s", why ? why : LIBRARY);
    }
    return library;
}

static void load(void)
{
    void *library = open_library();
    if (!library)
        return;
    const struct { const char *name; void *slot; } functions[] = {
#define ENTRY(name) { #name, &table.name },
        CVL_CUDNN_FUNCTIONS(ENTRY)
#undef ENTRY
    };
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        void *symbol = dlsym(library, functions[i].name);
        if (!symbol) {
            snprintf(lacks, sizeof lacks, "cuDNN has no function %s", functions[i].name);
            return;
        }
        memcpy(functions[i].slot, &symbol, sizeof symbol);
    }
    const int number = (int)table.cudnnGetVersion();
    if (number < OLDEST)
        snprintf(lacks, sizeof lacks, "cuDNN is version %d, expected 9.0 or later", number);
    else
        snprintf(version, sizeof version, "cuDNN %d.%d.%d", number / 10000, number / 100 % 100, number % 100);
}

const struct cvl_cudnn *cvl_cudnn(void)
{
    pthread_once(&once, load);
    return *lacks ? NULL : &table;
}

const char *cvl_cudnn_lacks(void)
{
    pthread_once(&once, load);
    return *lacks ? lacks : NULL;
}

const char *cvl_cudnn_version(void)
{
    pthread_once(&once, load);
    return version;
}

cvl_status cvl_cudnn_check(cudnnStatus_t status, const char *what)
{
    char words[256] = "";
    if (status == CUDNN_STATUS_SUCCESS)
        return CVL_OK;
    table.cudnnGetLastErrorString(words, sizeof words);
    words[strcspn(words, "\n")] = '\0';
    const bool refused = status / 1000 == CUDNN_STATUS_NOT_SUPPORTED / 1000   /* thousands are kinds of failure */
                      || status / 1000 == CUDNN_STATUS_BAD_PARAM / 1000;
    return cvl_fail(refused ? CVL_EUNSUP : CVL_EDEVICE, "cuDNN, %s: %s%s%s", what, table.cudnnGetErrorString(status),
                    *words ? ": " : "", words);
}
