#include "helpers/image/media_type.h"

#include <errno.h>
#include <string.h>

#include "oci/quote.h"

#define OCI "application/vnd.oci.image."
#define DOCKER "application/vnd.docker."
#define PLAIN CL_COMPRESSION_NONE
#define GZIP CL_COMPRESSION_GZIP
#define ZSTD CL_COMPRESSION_ZSTD

/* rows of the table */
#define KIND(text, type)                                                                           \
    {                                                                                              \
        text, CL_MEDIA_##type, PLAIN, NULL                                                         \
    }
#define LAYER(text, how)                                                                           \
    {                                                                                              \
        text, CL_MEDIA_LAYER, how, NULL                                                            \
    }
#define OTHER(text, is_what)                                                                       \
    {                                                                                              \
        text, CL_MEDIA_OTHER, PLAIN, is_what                                                       \
    }

#define OLD_MODULE "a WebAssembly module in a layout of before application/vnd.wasm.config.v0+json"

static const struct cl_media_type types[] = {
    KIND(CL_MEDIA_OCI_IMAGE, IMAGE),
    KIND(CL_MEDIA_OCI_INDEX, INDEX),
    KIND(DOCKER "distribution.manifest.v2+json", IMAGE),
    KIND(DOCKER "distribution.manifest.list.v2+json", INDEX),
    KIND(DOCKER "distribution.manifest.v1+json", SCHEMA_1),
    KIND(DOCKER "distribution.manifest.v1+prettyjws", SCHEMA_1),

    KIND(OCI "config.v1+json", CONFIG),
    KIND(DOCKER "container.image.v1+json", CONFIG),

    LAYER(OCI "layer.v1.tar", PLAIN),
    LAYER(OCI "layer.v1.tar+gzip", GZIP),
    LAYER(OCI "layer.v1.tar+zstd", ZSTD),
    LAYER(OCI "layer.nondistributable.v1.tar", PLAIN),
    LAYER(OCI "layer.nondistributable.v1.tar+gzip", GZIP),
    LAYER(OCI "layer.nondistributable.v1.tar+zstd", ZSTD),
    LAYER(DOCKER "image.rootfs.diff.tar", PLAIN),
    LAYER(DOCKER "image.rootfs.diff.tar.gzip", GZIP),
    LAYER(DOCKER "image.rootfs.diff.tar.zstd", ZSTD),
    LAYER(DOCKER "image.rootfs.foreign.diff.tar", PLAIN),
    LAYER(DOCKER "image.rootfs.foreign.diff.tar.gzip", GZIP),
    LAYER(DOCKER "image.rootfs.foreign.diff.tar.zstd", ZSTD),

    /* CNCF's layout of a WebAssembly artifact, and what came before it */
    KIND(CL_MODULE_CONFIG_TYPE, MODULE_CONFIG),
    KIND("application/wasm", MODULE),
    OTHER("application/vnd.wasm.config.v1+json", OLD_MODULE),
    OTHER("application/vnd.wasm.content.layer.v1+wasm", OLD_MODULE),
    OTHER("application/vnd.module.wasm.content.layer.v1+wasm", OLD_MODULE),

    OTHER("application/vnd.oci.empty.v1+json", "an artifact"),
    OTHER("application/vnd.oci.artifact.manifest.v1+json", "an artifact"),
    OTHER("application/vnd.unknown.config.v1+json", "an artifact"),
    OTHER("application/vnd.cncf.helm.config.v1+json", "a Helm chart"),
    OTHER("application/vnd.cncf.helm.chart.content.v1.tar+gzip", "a Helm chart"),
    OTHER(DOCKER "plugin.v1+json", "a Docker plugin"),
    OTHER("application/vnd.in-toto+json", "an attestation"),
    OTHER("application/vnd.dsse.envelope.v1+json", "an attestation"),
    OTHER("application/vnd.dev.cosign.simplesigning.v1+json", "a signature"),
    OTHER("application/vnd.cncf.notary.signature", "a signature"),
    OTHER("application/vnd.sylabs.sif.layer.v1.sif", "a Singularity image"),
    OTHER("application/vnd.cncf.flux.config.v1+json", "an artifact of Flux"),
    OTHER("application/vnd.cncf.openpolicyagent.config.v1+json", "a bundle of policies"),

    /* ocicrypt: the keys are elsewhere */
    OTHER(OCI "layer.v1.tar+encrypted", "an encrypted image"),
    OTHER(OCI "layer.v1.tar+gzip+encrypted", "an encrypted image"),
    OTHER(OCI "layer.v1.tar+zstd+encrypted", "an encrypted image"),
};

struct cl_media_type cl_media_type_find(const char *name)
{
    for (size_t i = 0; i < CL_ARRAY_SIZE(types); i++) {
        if (strcmp(types[i].name, name) == 0)
            return types[i];
    }
    return (struct cl_media_type){.name = name, .kind = CL_MEDIA_UNKNOWN};
}

int cl_media_type_refuse_schema_1(struct cl_error *err)
{
    return cl_refuse(err, ENOTSUP,
                     "a manifest of Docker's schema 1, which nobody writes any more; push the "
                     "image again with a newer builder");
}

int cl_media_type_refuse(const struct cl_media_type *type, const char *role, struct cl_error *err)
{
    char quoted[CL_QUOTE_SIZE];

    switch (type->kind) {
    case CL_MEDIA_SCHEMA_1:
        return cl_media_type_refuse_schema_1(err);
    case CL_MEDIA_OTHER:
        return cl_refuse(err, ENOTSUP, "not a container image but %s (%s)", type->what, type->name);
    case CL_MEDIA_UNKNOWN:
    case CL_MEDIA_IMAGE:
    case CL_MEDIA_INDEX:
    case CL_MEDIA_CONFIG:
    case CL_MEDIA_LAYER:
    case CL_MEDIA_MODULE_CONFIG:
    case CL_MEDIA_MODULE:
        break;
    }
    return cl_refuse(err, ENOTSUP, "the media type \"%s\" is none of a container image's %s",
                     cl_quote(type->name, quoted), role);
}
