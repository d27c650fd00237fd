/* SPDX-License-Identifier: Apache-2.0 */
#include "conv/cuda/cudnn_backend.h"

#include "base/error.h"

#include <string.h>

/* ---- descriptors ---- */

cudnnBackendDescriptor_t cvl_cudnn_make(cudnnBackendDescriptorType_t type, cvl_status *status)
{
    cudnnBackendDescriptor_t made = NULL;
    if (*status == CVL_OK)
        *status = cvl_cudnn_check(cvl_cudnn()->cudnnBackendCreateDescriptor(type, &made), "making a descriptor");
    return *status == CVL_OK ? made : NULL;
}

void cvl_cudnn_set(cudnnBackendDescriptor_t descriptor, cudnnBackendAttributeName_t name,
                   cudnnBackendAttributeType_t type, int64_t count, const void *values, cvl_status *status)
{
    if (*status == CVL_OK)
        *status = cvl_cudnn_check(cvl_cudnn()->cudnnBackendSetAttribute(descriptor, name, type, count, values),
                                  "describing a problem");
}

void cvl_cudnn_finalize(cudnnBackendDescriptor_t descriptor, const char *what, cvl_status *status)
{
    if (*status == CVL_OK)
        *status = cvl_cudnn_check(cvl_cudnn()->cudnnBackendFinalize(descriptor), what);
}

cvl_status cvl_cudnn_get(cudnnBackendDescriptor_t descriptor, cudnnBackendAttributeName_t name,
                         cudnnBackendAttributeType_t type, int64_t most, int64_t *count, void *values)
{
    return cvl_cudnn_check(cvl_cudnn()->cudnnBackendGetAttribute(descriptor, name, type, most, count, values),
                           "asking for an attribute");
}

/* ---- devices ---- */

cvl_status cvl_cudnn_target_described(const char *json, struct cvl_cudnn_target *target)
{
    cvl_status status = CVL_OK;
    *target = (struct cvl_cudnn_target){ NULL, NULL };
#if CUDNN_VERSION >= 90800
    cudnnBackendDescriptor_t made = cvl_cudnn_make(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR, &status);
    cvl_cudnn_set(made, CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, CUDNN_TYPE_CHAR, (int64_t)strlen(json), json,
                  &status);
    cvl_cudnn_finalize(made, "reading a device's properties", &status);
    target->properties = made;
    if (status != CVL_OK)
        cvl_cudnn_target_destroy(target);
#else
    status = cvl_fail(CVL_EUNSUP, "built for %d, and cuDNN plans for absent devices since 9.8", CUDNN_VERSION);
#endif
    return status;
}

cvl_status cvl_cudnn_describe(int device, char *json, size_t size)
{
    cvl_status status = CVL_OK;
#if CUDNN_VERSION >= 90800
    const int32_t id = device;
    int64_t count = 0;
    cudnnBackendDescriptor_t made = cvl_cudnn_make(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR, &status);
    cvl_cudnn_set(made, CUDNN_ATTR_DEVICEPROP_DEVICE_ID, CUDNN_TYPE_INT32, 1, &id, &status);
    cvl_cudnn_finalize(made, "looking at a device", &status);
    if (status == CVL_OK)
        status = cvl_cudnn_get(made, CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, CUDNN_TYPE_CHAR, (int64_t)size - 1,
                               &count, json);
    if (status == CVL_OK && (count < 0 || (size_t)count >= size))
        status = cvl_fail(CVL_EUNSUP, "the description of a device takes %lld bytes", (long long)count);
    if (status == CVL_OK)
        json[count] = '\0';
    if (made)
        cvl_cudnn()->cudnnBackendDestroyDescriptor(made);
#else
    status = cvl_fail(CVL_EUNSUP, "built for %d, and cuDNN describes devices since 9.8", CUDNN_VERSION);
#endif
    return status;
}

void cvl_cudnn_target_destroy(struct cvl_cudnn_target *target)
{
    if (target->properties)
        cvl_cudnn()->cudnnBackendDestroyDescriptor(target->properties);
    if (target->handle)
        cvl_cudnn()->cudnnDestroy(target->handle);
    *target = (struct cvl_cudnn_target){ NULL, NULL };
}
