/* SPDX-License-Identifier: Apache-2.0
 * Where each grid comes from and how it was checked: bench/nets/README.md. */
#include "bench/nets.h"

#include <string.h>
#include "base/error.h"
#include "base/text.h"

const struct net nets[] = {
    { "resnet50", "ResNet-50 v1.5 (the stride is in the 3x3)", "25,557,032 parameters; 4,089,184,256 multiply-adds" },
    { "vgg16", "VGG-16", "138,357,544 parameters" },
    { "mobilenet_v2", "MobileNet-V2", "3,504,872 parameters" },
    { "efficientnet_b0", "EfficientNet-B0", "5,288,548 parameters" },
    { "inception_v3", "Inception v3 at 299x299", "23,834,568 parameters" },
    { "resnext50", "ResNeXt-50 32x4d", "25,028,904 parameters" },
    { "unet", "U-Net at 572x572", "31,030,658 parameters, with unet-upconv" },
    { "unet-upconv", "U-Net's up-convolutions as bwd_data", "31,030,658 parameters, with unet" },
    { "convnext_t", "ConvNeXt-T, linear layers as 1x1", "28,589,128 parameters" },
    { "vit", "patch embeddings of vision transformers", "ViT-B/16: 590,592 parameters" },
    { "deeplabv3", "DeepLabv3 on ResNet-50 at 520x520", "42,004,074 parameters without the auxiliary head" },
    { "deepbench-training", "DeepBench, training", "oneDNN's copy 90 of 90" },
    { "deepbench-server", "DeepBench, inference on a server", "oneDNN's copy 103 of 103" },
    { "deepbench-device", "DeepBench, inference on a device", "oneDNN's copy 15 of 16" },
    { "convnet-benchmarks", "convnet-benchmarks L1 to L5 at batch 1", "the benchmark's own page (batch 128)" },
    { NULL, NULL, NULL },
};

static cvl_status not_found(const char *name)
{
    char names[384];
    struct cvl_text text = { names, sizeof names, 0 };
    for (const struct net *net = nets; net->name; net++)
        cvl_text_add(&text, "%s%s", net == nets ? "" : ", ", net->name);
    return cvl_fail(CVL_ENOTFOUND, "'%s' is not a network this program knows: %s", name, names);
}

cvl_status net_read(const char *name, struct layer_list *list)
{
    for (const struct net_text *text = net_texts; text->name; text++) {
        if (strcmp(text->name, name) != 0)
            continue;
        struct csv_table *table;
        cvl_status status = csv_table_parse(name, text->csv, strlen(text->csv), &table);
        if (status == CVL_OK)
            status = grid_read(table, list);
        csv_table_free(table);
        return status;
    }
    return not_found(name);
}
