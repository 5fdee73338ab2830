/* test_manifest.c - manifests and indexes of OCI and Docker, good ones and hostile ones. */
#include <errno.h>

#include "manifest_scene.h"

static int parse_layout(struct scene *scene, const char *text, const char *tag)
{
    const struct cl_manifest_request request = {.platform = "linux/amd64", .tag = tag};

    return parse_with(scene, cl_layout_parse, text, &request);
}

/* --- images --------------------------------------------------------------------- */

TEST(an_image_of_each_kind_is_understood)
{
    static const struct {
        const char *type;
        int compression;
    } rows[] = {
        {OCI "layer.v1.tar", CL_COMPRESSION_NONE},
        {OCI "layer.v1.tar+gzip", CL_COMPRESSION_GZIP},
        {OCI "layer.v1.tar+zstd", CL_COMPRESSION_ZSTD},
        {OCI "layer.nondistributable.v1.tar", CL_COMPRESSION_NONE},
        {OCI "layer.nondistributable.v1.tar+gzip", CL_COMPRESSION_GZIP},
        {OCI "layer.nondistributable.v1.tar+zstd", CL_COMPRESSION_ZSTD},
        {DOCKER "image.rootfs.diff.tar", CL_COMPRESSION_NONE},
        {DOCKER "image.rootfs.diff.tar.gzip", CL_COMPRESSION_GZIP},
        {DOCKER "image.rootfs.diff.tar.zstd", CL_COMPRESSION_ZSTD},
        {DOCKER "image.rootfs.foreign.diff.tar", CL_COMPRESSION_NONE},
        {DOCKER "image.rootfs.foreign.diff.tar.gzip", CL_COMPRESSION_GZIP},
        {DOCKER "image.rootfs.foreign.diff.tar.zstd", CL_COMPRESSION_ZSTD},
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        CL_CLEANUP_SCENE struct scene scene = SCENE;
        char text[2048];

        (void)snprintf(text, sizeof(text),
                       IMAGE(DESC("%s", B) ",{\"mediaType\":\"%s\",\"digest\":\"" C
                                           "\",\"size\":1125899906842624,\"urls\":[\"x\"]}"),
                       rows[i].type, rows[i].type);
        CHECK(parse(&scene, text, "linux/amd64", MANIFEST) == 0);
        CHECK_TEXT(scene.err.msg, "");
        CHECK(scene.record.kind == CL_MANIFEST_IMAGE && scene.record.target_size_bytes == 7);
        CHECK_TEXT(scene.record.media_type, MANIFEST);
        CHECK_TEXT(scene.record.target, A);
        CHECK_TEXT(scene.record.target_type, OCI "config.v1+json");
        CHECK(scene.record.layers.count == 2);
        CHECK_TEXT(scene.record.layers.items[1].digest, C);
        CHECK(scene.record.layers.items[0].size_bytes == 7);
        CHECK(scene.record.layers.items[1].size_bytes == 1ULL << 50);
        CHECK((int)scene.record.layers.items[0].compression == rows[i].compression);
    }
}

#define DOCKER_IMAGE                                                                               \
    "{\"schemaVersion\":2,\"mediaType\":\"" DOCKER                                                 \
    "distribution.manifest.v2+json\",\"config\":" DESC(                                            \
        DOCKER "container.image.v1+json",                                                          \
        A) ",\"layers\":[" DESC(DOCKER "image.rootfs.diff.tar.gzip", B) "]}"

TEST(docker_and_mixtures_and_little_are_images_too)
{
    static const struct {
        const char *text;
        const char *said;
        const char *media_type;
        size_t layers;
    } rows[] = {
        {DOCKER_IMAGE, NULL, DOCKER "distribution.manifest.v2+json", 1},
        {DOCKER_IMAGE, DOCKER "distribution.manifest.v2+json",
         DOCKER "distribution.manifest.v2+json", 1},
        /* an OCI manifest need not name itself */
        {"{\"schemaVersion\":2,\"config\":" CONFIG ",\"layers\":[]}", NULL, MANIFEST, 0},
        {"{\"schemaVersion\":2,\"config\":" CONFIG ",\"layers\":[]}", MANIFEST, MANIFEST, 0},
        {"{\"schemaVersion\":2,\"config\":" CONFIG ",\"layers\":null,\"manifests\":null}", NULL,
         MANIFEST, 0},
        /* builders put layers of the one spelling on layers of the other */
        {IMAGE(DESC(DOCKER "image.rootfs.diff.tar.gzip", B) "," DESC(OCI "layer.v1.tar+gzip", C)),
         NULL, MANIFEST, 2},
        {IMAGE_HEAD "\"config\":" DESC(DOCKER "container.image.v1+json", A) ",\"layers\":[]}", NULL,
         MANIFEST, 0},
        /* what nobody knows is passed over */
        {IMAGE_HEAD "\"config\":" CONFIG ",\"layers\":[],\"annotations\":{\"a\":\"b\"},"
                    "\"artifactType\":\"application/x\",\"subject\":" CONFIG ",\"x\":[[1]]}",
         NULL, MANIFEST, 0},
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        CL_CLEANUP_SCENE struct scene scene = SCENE;

        CHECK(parse(&scene, rows[i].text, "linux/amd64", rows[i].said) == 0);
        CHECK_TEXT(scene.err.msg, "");
        CHECK_TEXT(scene.record.media_type, rows[i].media_type);
        CHECK(scene.record.kind == CL_MANIFEST_IMAGE);
        CHECK(scene.record.layers.count == rows[i].layers);
    }
}

/* --- what is refused ---------------------------------------------------------------- */

#define BOTH "documents that can be read as two things are refused (CVE-2021-41190)"
#define OLD "a manifest of Docker's schema 1, which nobody writes any more; push the image again"
#define ARTIFACT(config, more) IMAGE_HEAD "\"config\":" DESC(config, A) more ",\"layers\":[]}"

static const struct {
    const char *text;
    const char *said;
    const char *message;
} wrong[] = {
    /* two things at once */
    {IMAGE_HEAD "\"config\":" CONFIG ",\"layers\":[],\"manifests\":[]}", NULL,
     "m: both an image (\"layers\") and an index (\"manifests\"); " BOTH},
    {"{\"schemaVersion\":2,\"config\":" CONFIG ",\"layers\":[],\"manifests\":[]}", NULL, BOTH},
    {"{\"schemaVersion\":2,\"config\":" CONFIG ",\"layers\":[],\"manifests\":[]}",
     OCI "index.v1+json", BOTH},
    {INDEX_HEAD "\"config\":" CONFIG ",\"manifests\":[]}", NULL,
     "m: both an image (\"config\") and an index (\"manifests\"); " BOTH},
    {INDEX_HEAD "\"layers\":[],\"manifests\":[]}", NULL, BOTH},
    {IMAGE_HEAD "\"manifests\":[]}", NULL,
     "m: an image by its media type, an index by its content; " BOTH},
    {INDEX_HEAD "\"config\":" CONFIG ",\"layers\":[]}", NULL,
     "m: an index by its media type, an image by its content; " BOTH},
    {"{\"schemaVersion\":2,\"config\":" CONFIG ",\"layers\":[]}", OCI "index.v1+json",
     "m: an index by its media type, an image by its content; " BOTH},
    {"{\"schemaVersion\":2,\"manifests\":[]}", MANIFEST,
     "m: an image by its media type, an index by its content; " BOTH},
    {IMAGE_HEAD "\"config\":" CONFIG ",\"layers\":[],\"fsLayers\":[]}", NULL,
     "m: both a manifest of schema 1 and of schema 2; " BOTH},
    {INDEX_HEAD "\"manifests\":[],\"fsLayers\":[]}", NULL, BOTH},
    {INDEX_HEAD "\"fsLayers\":[]}", NULL, BOTH},
    {IMAGE_HEAD "\"fsLayers\":[]}", NULL,
     "m: an image by its media type, of schema 1 by its content; " BOTH},
    {DOCKER_IMAGE, MANIFEST,
     "m: it came as \"" MANIFEST "\" and calls itself \"" DOCKER "distribution.manifest.v2+json\""},
    {IMAGE(""), OCI "index.v1+json", "m: it came as \"" OCI "index.v1+json\" and calls itself"},
    {IMAGE_HEAD "\"config\":" CONFIG ",\"layers\":[],\"Layers\":[]}", NULL,
     "m: Layers: unknown key; write it as layers"},
    {IMAGE_HEAD "\"config\":" CONFIG ",\"layers\":[],\"MANIFESTS\":[]}", NULL,
     "m: MANIFESTS: unknown key; write it as manifests"},
    {IMAGE_HEAD "\"config\":" CONFIG ",\"layers\":[],\"layers\":[]}", NULL, "duplicate object key"},
    /* versions */
    {"{\"schemaVersion\":1,\"name\":\"x\",\"fsLayers\":[],\"signatures\":[]}", NULL, OLD},
    {"{\"schemaVersion\":1}", DOCKER "distribution.manifest.v1+prettyjws", OLD},
    {"{\"schemaVersion\":2}", DOCKER "distribution.manifest.v1+json", OLD},
    {"{\"schemaVersion\":1,\"config\":" CONFIG ",\"layers\":[]}", MANIFEST, OLD},
    {"{\"config\":" CONFIG ",\"layers\":[]}", NULL, "m: schemaVersion is missing"},
    {"{\"schemaVersion\":3,\"layers\":[]}", NULL, "m: schemaVersion: expected 2, got 3"},
    {"{\"schemaVersion\":\"2\"}", NULL, "m: schemaVersion: expected integer, got string \"2\""},
    {"{\"schemaVersion\":2}", NULL, "m: neither an image's manifest nor an index"},
    {"[]", NULL, "m: expected object, got array"},
    {"", NULL, "m:1:0: "},
    /* media types */
    {"{\"schemaVersion\":2,\"mediaType\":\"application/x\",\"layers\":[]}", NULL,
     "m: the media type \"application/x\" is none of a container image's manifest or index"},
    {"{\"schemaVersion\":2,\"layers\":[]}", "text/html",
     "m: the media type \"text/html\" is none of a container image's manifest or index"},
    {"{\"schemaVersion\":2,\"layers\":[]}", OCI "layer.v1.tar",
     "is none of a container image's manifest or index"},
    {"{\"schemaVersion\":2,\"blobs\":[]}", "application/vnd.oci.artifact.manifest.v1+json",
     "m: not a container image but an artifact"},
    {IMAGE(LAYER "," DESC("application/x", B)), NULL,
     "m: layers[1]: the media type \"application/x\" is none of a container image's layer"},
    {IMAGE(DESC(OCI "config.v1+json", B)), NULL, "is none of a container image's layer"},
    {ARTIFACT("application/x", ""), NULL,
     "m: the media type \"application/x\" is none of a container image's config"},
    {ARTIFACT(OCI "layer.v1.tar", ""), NULL, "is none of a container image's config"},
    {IMAGE(DESC(OCI "layer.v1.tar+gzip+encrypted", B)), NULL,
     "m: layers[0]: not a container image but an encrypted image"},
    /* what else is kept in registries */
    {ARTIFACT("application/vnd.wasm.config.v1+json", ""), NULL,
     "m: not a container image but a WebAssembly module in a layout of before"},
    {IMAGE(LAYER "," DESC("application/wasm", B)), NULL,
     "m: layers[1]: a WebAssembly module among layers of files; the config of one alone is a "
     "\"application/vnd.wasm.config.v0+json\""},
    {IMAGE(DESC("application/vnd.wasm.content.layer.v1+wasm", B)), NULL,
     "m: layers[0]: not a container image but a WebAssembly module in a layout of before"},
    {ARTIFACT("application/vnd.oci.empty.v1+json", ",\"artifactType\":\"application/sbom\""), NULL,
     "m: not a container image but an artifact of type \"application/sbom\""},
    {ARTIFACT("application/vnd.oci.empty.v1+json", ""), NULL,
     "m: not a container image but an artifact (application/vnd.oci.empty.v1+json)"},
    {ARTIFACT("application/vnd.cncf.helm.config.v1+json", ""), NULL,
     "m: not a container image but a Helm chart"},
    {ARTIFACT(DOCKER "plugin.v1+json", ""), NULL, "m: not a container image but a Docker plugin"},
    {IMAGE(DESC("application/vnd.in-toto+json", B)), NULL,
     "m: layers[0]: not a container image but an attestation"},
    {IMAGE(DESC("application/vnd.dev.cosign.simplesigning.v1+json", B)), NULL,
     "m: layers[0]: not a container image but a signature"},
    /* descriptors */
    {IMAGE_HEAD "\"layers\":[]}", NULL, "m: config is missing"},
    {IMAGE_HEAD "\"config\":[],\"layers\":[]}", NULL, "m: config: expected object, got array"},
    {IMAGE_HEAD "\"config\":{},\"layers\":[]}", NULL, "m: config: mediaType is missing"},
    {IMAGE("{\"mediaType\":\"" OCI "layer.v1.tar\",\"size\":1}"), NULL,
     "m: layers[0]: digest is missing"},
    {IMAGE("{\"mediaType\":\"" OCI "layer.v1.tar\",\"digest\":\"" A "\"}"), NULL,
     "m: layers[0]: size is missing"},
    {IMAGE("{\"mediaType\":\"x\",\"digest\":\"" A "\",\"size\":-1}"), NULL,
     "m: layers[0].size: expected 0 to 1125899906842624, got -1"},
    {IMAGE("{\"mediaType\":\"x\",\"digest\":\"" A "\",\"size\":1125899906842625}"), NULL,
     "m: layers[0].size: expected 0 to 1125899906842624"},
    {IMAGE("{\"mediaType\":\"x\",\"digest\":\"" A "\",\"size\":1e3}"), NULL,
     "m: layers[0].size: expected integer, got fraction"},
    {IMAGE("{\"mediaType\":\"x\",\"digest\":\"" A "\",\"size\":\"7\"}"), NULL,
     "m: layers[0].size: expected integer, got string"},
    {IMAGE("{\"mediaType\":\"x\",\"digest\":\"" A "\",\"size\":99999999999999999999}"), NULL,
     "too big integer"},
    {IMAGE(DESC(OCI "layer.v1.tar", "sha512:" HEX HEX "aa")), NULL,
     "m: layers[0]: digest: digests by sha512 are not supported"},
    {IMAGE(DESC(OCI "layer.v1.tar", "sha256:" HEX "A")), NULL, "m: layers[0]: digest: "},
    {IMAGE(DESC(OCI "layer.v1.tar", "sha256:../../etc/passwd")), NULL, "m: layers[0]: digest: "},
    {IMAGE(DESC(OCI "layer.v1.tar", "")), NULL, "m: layers[0]: digest: "},
    {IMAGE(DESC(OCI "layer.v1.tar", "x\\u0000")), NULL, "m:1:"},
    {IMAGE("null"), NULL, "m: layers[0]: expected object, got null"},
};

TEST(wrong_manifests_are_told_where_and_why)
{
    for (size_t i = 0; i < CL_ARRAY_SIZE(wrong); i++) {
        CL_CLEANUP_SCENE struct scene scene = SCENE;

        CHECK(parse(&scene, wrong[i].text, "linux/amd64", wrong[i].said) < 0);
        CHECK_HAS(scene.err.msg, wrong[i].message);
        CHECK(strncmp(scene.err.msg, "m:", 2) == 0);
    }
}

TEST(as_many_layers_as_can_be_mounted)
{
    for (int count = CL_MAX_LAYERS; count <= CL_MAX_LAYERS + 1; count++) {
        CL_CLEANUP_SCENE struct scene scene = SCENE;
        CL_CLEANUP_BUF struct cl_buf text = CL_BUF_INIT(1 << 20);

        CHECK(cl_buf_add_str(&text, IMAGE_HEAD "\"config\":" CONFIG ",\"layers\":[" LAYER) == 0);
        for (int i = 1; i < count; i++)
            CHECK(cl_buf_add_str(&text, "," LAYER) == 0);
        CHECK(cl_buf_add_str(&text, "]}") == 0);
        int r = parse(&scene, cl_buf_text(&text), "linux/amd64", NULL);
        CHECK((r == 0) == (count == CL_MAX_LAYERS));
        if (r < 0)
            CHECK_TEXT(scene.err.msg, "m: layers: more than 127 entries");
        else
            CHECK(scene.record.layers.count == CL_MAX_LAYERS);
    }
}

/* --- indexes ------------------------------------------------------------------------- */

#define AMD64 PLAT(MANIFEST, A, "linux", "amd64", "")
#define ARM64_V8 PLAT(MANIFEST, B, "linux", "arm64", ",\"variant\":\"v8\"")
#define ATTESTATION                                                                                \
    "{\"mediaType\":\"" MANIFEST "\",\"digest\":\"" C "\",\"size\":7,\"annotations\":{"            \
    "\"vnd.docker.reference.type\":\"attestation-manifest\"},\"platform\":{\"os\":\"linux\","      \
    "\"architecture\":\"amd64\"}}"
#define UNKNOWN PLAT(MANIFEST, C, "unknown", "unknown", "")
#define ARTIFACT_TYPE                                                                              \
    "{\"mediaType\":\"" MANIFEST "\",\"digest\":\"" C                                              \
    "\",\"size\":7,\"artifactType\":\"x\",\"platform\":{\"os\":\"linux\",\"architecture\":"        \
    "\"amd64\"}}"

static const struct {
    const char *text;
    const char *platform;
    const char *target; /* or the message */
} choices[] = {
    {INDEX(AMD64 "," ARM64_V8), "linux/amd64", A},
    {INDEX(AMD64 "," ARM64_V8), "linux/arm64", B},
    {INDEX(AMD64 "," ARM64_V8), "linux/arm64/v8", B},
    {INDEX(AMD64 "," ARM64_V8), "linux/aarch64", B},
    {INDEX(AMD64 "," ARM64_V8), "linux/x86_64", A},
    {INDEX(AMD64 "," PLAT(MANIFEST, B, "linux", "aarch64", "")), "linux/arm64/v8", B},
    {INDEX(AMD64 "," PLAT(MANIFEST, B, "linux", "arm64", "")), "linux/arm64/v8", B},
    {INDEX(AMD64 "," PLAT(MANIFEST, B, "linux", "arm64", ",\"variant\":\"8\"")), "linux/arm64", B},
    {INDEX(AMD64 "," PLAT(MANIFEST, B, "linux", "arm64", ",\"variant\":\"\"")), "linux/arm64", B},
    {INDEX(AMD64 "," PLAT(MANIFEST, B, "linux", "arm64", ",\"variant\":\"v9\"")), "linux/arm64",
     "m: the image has linux/amd64, linux/arm64/v9, not linux/arm64"},
    {INDEX(PLAT(MANIFEST, B, "linux", "amd64", ",\"variant\":\"v3\"") "," AMD64), "linux/amd64", A},
    {INDEX(PLAT(MANIFEST, B, "linux", "amd64", ",\"variant\":\"v3\"") "," AMD64), "linux/amd64/v3",
     B},
    {INDEX(PLAT(MANIFEST, A, "linux", "arm", ",\"variant\":\"v6\"") "," PLAT(
         MANIFEST, B, "linux", "arm", ",\"variant\":\"v7\"")),
     "linux/arm/v7", B},
    {INDEX(PLAT(MANIFEST, A, "linux", "arm", ",\"variant\":\"v6\"") "," PLAT(MANIFEST, B, "linux",
                                                                             "arm", "")),
     "linux/arm/v7", B},
    {INDEX(PLAT(MANIFEST, A, "windows", "amd64", ",\"os.version\":\"10\"") "," ARM64_V8),
     "linux/amd64", "m: the image has windows/amd64, linux/arm64/v8, not linux/amd64"},
    /* the first counts */
    {INDEX(AMD64 "," PLAT(MANIFEST, B, "linux", "amd64", "")), "linux/amd64", A},
    /* attestations and artifacts */
    {INDEX(ATTESTATION "," UNKNOWN "," ARTIFACT_TYPE "," AMD64), "linux/amd64", A},
    {INDEX(UNKNOWN "," ATTESTATION), "linux/amd64",
     "m: there is no image in this index, only attestations and artifacts"},
    {INDEX(ARM64_V8 "," UNKNOWN), "linux/amd64", "m: the image has linux/arm64/v8, not"},
    {INDEX(DESC("application/x", B) "," AMD64), "linux/amd64", A},
    {INDEX(DESC(OCI "layer.v1.tar", B)), "linux/amd64", "m: there is no image in this index"},
    {INDEX(""), "linux/amd64", "m: there is no image in this index"},
    {INDEX_HEAD "\"x\":1}", "linux/amd64", "m: there is no image in this index"},
    /* without a platform */
    {INDEX(DESC(MANIFEST, C)), "linux/amd64", C},
    {INDEX(DESC(MANIFEST, C) "," ATTESTATION), "linux/amd64", C},
    {INDEX(DESC(MANIFEST, C) "," DESC(MANIFEST, A)), "linux/amd64",
     "m: 2 manifests and no platform of any; name one by its digest"},
    {INDEX(DESC(MANIFEST, C) "," AMD64), "linux/amd64", A},
    {INDEX(DESC(MANIFEST, C) "," AMD64), "linux/s390x", "m: the image has linux/amd64, not"},
    {INDEX("{\"mediaType\":\"" MANIFEST "\",\"digest\":\"" C "\",\"size\":7,\"platform\":{}}"),
     "linux/amd64", "m: the image has ?/?, not linux/amd64"},
    /* an index in an index */
    {INDEX(DESC(OCI "index.v1+json", C)), "linux/amd64", C},
    {INDEX(PLAT(DOCKER "distribution.manifest.list.v2+json", C, "linux", "amd64", "")),
     "linux/amd64", C},
    /* the choice has to be one */
    {INDEX(PLAT(MANIFEST, "sha512:1", "linux", "amd64", "")), "linux/amd64",
     "m: manifests[0]: digest: "},
    {INDEX(ARM64_V8 ",{\"digest\":\"" A "\",\"size\":1,\"platform\":{\"os\":\"linux\","
                    "\"architecture\":\"amd64\"}}"),
     "linux/amd64", "m: manifests[1]: mediaType is missing"},
    {INDEX(PLAT(DOCKER "distribution.manifest.v1+prettyjws", A, "linux", "amd64", "")),
     "linux/amd64", OLD},
    {INDEX(PLAT(MANIFEST, "sha512:1", "linux", "s390x", "") "," AMD64), "linux/amd64", A},
    /* hostile names of platforms */
    {INDEX(PLAT(MANIFEST, A, "linux", "\\u202e\\n", "") "," ARM64_V8), "linux/amd64",
     "m: the image has linux/\\xe2\\x80\\xae\\x0a, linux/arm64/v8, not linux/amd64"},
    {INDEX("1"), "linux/amd64", "m: manifests[0]: expected object, got integer"},
    {INDEX_HEAD "\"manifests\":{}}", "linux/amd64", "m: manifests: expected array, got object"},
    {INDEX(AMD64), "amd64", "m: expected a platform like linux/amd64, got \"amd64\""},
    {INDEX(AMD64), "linux/", "expected a platform"},
    {INDEX(AMD64), "linux/amd64/", "expected a platform"},
    {INDEX(AMD64), "linux/amd64/v1/x", "expected a platform"},
    {INDEX(AMD64), "Linux/AMD64", "expected a platform"},
};

TEST(an_index_is_chosen_from_by_platform)
{
    for (size_t i = 0; i < CL_ARRAY_SIZE(choices); i++) {
        CL_CLEANUP_SCENE struct scene scene = SCENE;
        int r = parse(&scene, choices[i].text, choices[i].platform, NULL);
        int is_good = strncmp(choices[i].target, "sha256:", 7) == 0;

        CHECK((r == 0) == is_good);
        if (r < 0)
            CHECK_HAS(scene.err.msg, choices[i].target);
        else
            CHECK_TEXT(scene.record.target, choices[i].target);
        if (r == 0)
            CHECK(scene.record.kind == CL_MANIFEST_CHOICE && scene.record.target_size_bytes == 7);
    }
}

TEST(what_was_chosen_says_what_it_is)
{
    CL_CLEANUP_SCENE struct scene scene = SCENE;

    CHECK(parse(&scene, INDEX(DESC(OCI "index.v1+json", C)), "linux/amd64", NULL) == 0);
    CHECK_TEXT(scene.record.target_type, OCI "index.v1+json");
    CHECK_TEXT(scene.record.media_type, OCI "index.v1+json");
    CHECK((scene.record.set & CL_RECORD_BIT(CL_MANIFEST_LAYERS)) == 0);
    CHECK(parse(&scene, "{\"schemaVersion\":2,\"manifests\":[" AMD64 "]}", "linux/amd64",
                DOCKER "distribution.manifest.list.v2+json") == 0);
    CHECK_TEXT(scene.record.media_type, DOCKER "distribution.manifest.list.v2+json");
    CHECK_TEXT(scene.record.target_type, MANIFEST);
}

TEST(many_platforms_leave_room_for_the_one_that_was_asked_for)
{
    CL_CLEANUP_SCENE struct scene scene = SCENE;
    CL_CLEANUP_BUF struct cl_buf text = CL_BUF_INIT(1 << 20);
    char name[4000];

    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    CHECK(cl_buf_add_str(&text, INDEX_HEAD "\"manifests\":[" ARM64_V8) == 0);
    for (int i = 0; i < 100; i++)
        CHECK(cl_buf_printf(&text, "," PLAT(MANIFEST, A, "linux", "strange-architecture-%d", ""),
                            i) == 0);
    CHECK(cl_buf_add_str(&text, "]}") == 0);
    const struct cl_document document = {name, cl_buf_text(&text), text.size};
    const struct cl_manifest_request request = {.platform = "linux/amd64"};
    CHECK(cl_manifest_parse(&document, &request, &scene.arena, &scene.record, &scene.err) < 0);
    CHECK_HAS(scene.err.msg, "nn: the image has linux/arm64/v8, linux/strange-architecture-0,");
    CHECK_HAS(scene.err.msg, " and more, not linux/amd64");
}

/* --- layouts ------------------------------------------------------------------------- */

#define NAMED(digest, key, name)                                                                   \
    "{\"mediaType\":\"" MANIFEST "\",\"digest\":\"" digest "\",\"size\":7,\"annotations\":{\"" key \
    "\":\"" name "\"}}"
#define REF "org.opencontainers.image.ref.name"
#define LAYOUT(manifests) "{\"schemaVersion\":2,\"manifests\":[" manifests "]}"
#define TWO NAMED(A, REF, "1.0") "," NAMED(B, REF, "2.0")

static const struct {
    const char *text;
    const char *tag;
    const char *target; /* or the message */
} layouts[] = {
    {LAYOUT(TWO), "1.0", A},
    {LAYOUT(TWO), "2.0", B},
    {LAYOUT(TWO), "3.0", "m: no image has the tag \"3.0\"; there are 1.0, 2.0"},
    {LAYOUT(TWO), NULL, "m: several images; name one of 1.0, 2.0"},
    {LAYOUT(NAMED(A, REF, "1.0")), "x", "m: no image has the tag \"x\"; there is 1.0"},
    {LAYOUT(NAMED(A, REF, "1.0")), NULL, A},
    {LAYOUT(DESC(MANIFEST, C)), NULL, C},
    {LAYOUT(DESC(MANIFEST, C)), "x", "m: no image has the tag \"x\"; there are no tags"},
    {INDEX(DESC(MANIFEST, C)), NULL, C},
    {LAYOUT(TWO "," DESC(MANIFEST, C)), NULL, "m: several images; name one of 1.0, 2.0"},
    {LAYOUT(TWO "," NAMED(C, "io.containerd.image.name", "docker.io/library/a:1")),
     "docker.io/library/a:1", C},
    {LAYOUT(TWO "," NAMED(C, "io.containerd.image.name", "docker.io/library/a:1")), NULL,
     "name one of 1.0, 2.0, docker.io/library/a:1"},
    /* the tag alone, where it says enough */
    {LAYOUT(NAMED(A, REF, "a:1") "," NAMED(B, REF, "b:2")), "2", B},
    {LAYOUT(NAMED(A, REF, "a:1") "," NAMED(B, REF, "b:1")), "1",
     "m: several images; name one of a:1, b:1"},
    {LAYOUT(NAMED(A, REF, "a:1") "," NAMED(B, REF, "1")), "1", B},
    {LAYOUT(
         "{\"mediaType\":\"" MANIFEST "\",\"digest\":\"" A "\",\"size\":7,\"annotations\":{\"" REF
         "\":\"1\",\"io.containerd.image.name\":\"r/a:1\"}},"
         "{\"mediaType\":\"" MANIFEST "\",\"digest\":\"" B "\",\"size\":7,\"annotations\":{\"" REF
         "\":\"1\",\"io.containerd.image.name\":\"r/b:1\"}}"),
     "1", "m: several images; name one of r/a:1, r/b:1"},
    /* several platforms of one image */
    {LAYOUT(ARM64_V8 "," AMD64), NULL, A},
    {LAYOUT(ARM64_V8), NULL, "m: the image has linux/arm64/v8, not linux/amd64"},
    /* and several names of one */
    {LAYOUT(NAMED(A, REF, "1.0") "," NAMED(A, REF, "2.0")), NULL, A},
    {LAYOUT(NAMED(A, REF, "1.0") "," NAMED(A, REF, "2.0") "," NAMED(B, REF, "3.0")), NULL,
     "m: several images; name one of 1.0, 3.0"},
    {LAYOUT(NAMED(B, REF, "1.0") "," NAMED(A, REF, "a:1") "," NAMED(A, REF, "b:1")), "1", A},
    {LAYOUT(DESC(MANIFEST, C) "," DESC(MANIFEST, A)), NULL, "2 manifests and no platform of any"},
    {LAYOUT(DESC(OCI "index.v1+json", C)), NULL, C},
    {LAYOUT(""), NULL, "m: there is no image in this index"},
    /* what is no index of a layout */
    {"{\"manifests\":[]}", NULL, "m: schemaVersion is missing"},
    {IMAGE(""), NULL, "m: an image's manifest, and no index of a layout"},
    {"{\"schemaVersion\":2,\"config\":" CONFIG ",\"layers\":[]}", NULL, BOTH},
    {"{\"schemaVersion\":2,\"layers\":[],\"manifests\":[]}", NULL, BOTH},
    {LAYOUT(NAMED("sha512:1", REF, "1.0")), "1.0", "m: manifests[0]: digest: "},
    {LAYOUT("{\"mediaType\":\"" MANIFEST "\",\"annotations\":{\"a\":1}}"), NULL,
     "m: manifests[0].annotations.a: expected string, got integer"},
};

TEST(a_layout_is_chosen_from_by_tag)
{
    for (size_t i = 0; i < CL_ARRAY_SIZE(layouts); i++) {
        CL_CLEANUP_SCENE struct scene scene = SCENE;
        int r = parse_layout(&scene, layouts[i].text, layouts[i].tag);
        int is_good = strncmp(layouts[i].target, "sha256:", 7) == 0;

        CHECK((r == 0) == is_good);
        if (r < 0)
            CHECK_HAS(scene.err.msg, layouts[i].target);
        else
            CHECK_TEXT(scene.record.target, layouts[i].target);
    }
}

TEST(what_a_layout_calls_its_image_is_kept)
{
    CL_CLEANUP_SCENE struct scene scene = SCENE;

    CHECK(parse_layout(&scene, LAYOUT(TWO), "2.0") == 0);
    CHECK((scene.record.set & CL_RECORD_BIT(CL_MANIFEST_NAME)) != 0);
    CHECK_TEXT(scene.record.name, "2.0");
    CHECK(parse_layout(&scene, LAYOUT(DESC(MANIFEST, C)), NULL) == 0);
    CHECK((scene.record.set & CL_RECORD_BIT(CL_MANIFEST_NAME)) == 0);
    CHECK(parse_layout(&scene,
                       LAYOUT("{\"mediaType\":\"" MANIFEST "\",\"digest\":\"" A
                              "\",\"size\":7,\"annotations\":{\"" REF
                              "\":\"1\",\"io.containerd.image.name\":\"r/a:1\"}}"),
                       NULL) == 0);
    CHECK_TEXT(scene.record.name, "r/a:1");
}

TEST(a_name_that_nothing_can_have_is_none)
{
    CL_CLEANUP_SCENE struct scene scene = SCENE;
    CL_CLEANUP_BUF struct cl_buf text = CL_BUF_INIT(1 << 20);
    char name[4097];

    for (size_t size = 4095; size <= 4096; size++) {
        memset(name, 'n', size);
        name[size] = '\0';
        text.size = 0;
        CHECK(cl_buf_printf(&text, LAYOUT(NAMED(A, REF, "%s")), name) == 0);
        CHECK(parse_layout(&scene, cl_buf_text(&text), NULL) == 0);
        CHECK((scene.record.name != NULL) == (size == 4095));
    }
}

/* One after the other. */
static void fail_each_allocation(const char *text)
{
    const struct cl_document document = {"m", text, strlen(text)};
    const struct cl_manifest_request request = {.platform = "linux/amd64"};
    int r = -ENOMEM;

    for (size_t cap = 0; r < 0 && cap < 1 << 20; cap += 16) {
        CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(cap);
        struct cl_manifest_record record = {.set = 0};
        struct cl_error err = {0};

        r = cl_manifest_parse(&document, &request, &arena, &record, &err);
        CHECK(r == 0 || (r == -ENOMEM && err.code == ENOMEM && record.set == 0));
    }
    CHECK(r == 0);
}

TEST(a_lack_of_memory_is_told)
{
    fail_each_allocation(INDEX(ARM64_V8 "," AMD64 "," ATTESTATION));
    fail_each_allocation(IMAGE(LAYER "," LAYER));
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(an_image_of_each_kind_is_understood),
        ROW(docker_and_mixtures_and_little_are_images_too),
        ROW(wrong_manifests_are_told_where_and_why),
        ROW(as_many_layers_as_can_be_mounted),
        ROW(an_index_is_chosen_from_by_platform),
        ROW(what_was_chosen_says_what_it_is),
        ROW(many_platforms_leave_room_for_the_one_that_was_asked_for),
        ROW(a_layout_is_chosen_from_by_tag),
        ROW(what_a_layout_calls_its_image_is_kept),
        ROW(a_name_that_nothing_can_have_is_none),
        ROW(a_lack_of_memory_is_told),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
