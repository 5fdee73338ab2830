/* test_manifest_module.c - manifests of WebAssembly modules, and indexes that have some. */
#include "manifest_scene.h"

#define MODULES(layers)                                                                            \
    IMAGE_HEAD "\"config\":" DESC("application/vnd.wasm.config.v0+json", A) ",\"layers\":[" layers \
                                                                            "]}"
#define TITLED(title)                                                                              \
    MODULES("{\"mediaType\":\"application/wasm\",\"digest\":\"" B                                  \
            "\",\"size\":7,\"annotations\":{"                                                      \
            "\"org.opencontainers.image.title\":\"" title "\"}}")

TEST(a_module_is_an_image_too)
{
    static const struct {
        const char *text;
        const char *title; /* NULL: none */
    } rows[] = {
        {MODULES(DESC("application/wasm", B)), NULL},
        {TITLED("a.wasm"), "a.wasm"},
        {TITLED("../../a"), "../../a"}, /* a word, for who shows it */
        {TITLED(""), NULL},
        {IMAGE_HEAD "\"artifactType\":\"application/x\",\"config\":" DESC(
             CL_MODULE_CONFIG_TYPE, A) ",\"layers\":[" DESC("application/wasm", B) "]}",
         NULL},
        {IMAGE_HEAD "\"annotations\":{\"module.wasm.image/variant\":\"compat\"},\"config\":" DESC(
             CL_MODULE_CONFIG_TYPE, A) ",\"layers\":[" DESC("application/wasm", B) "]}",
         NULL},
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        CL_CLEANUP_SCENE struct scene scene = SCENE;

        CHECK(parse(&scene, rows[i].text, "linux/amd64", MANIFEST) == 0);
        CHECK_TEXT(scene.err.msg, "");
        CHECK(scene.record.kind == CL_MANIFEST_IMAGE);
        CHECK(scene.record.payload == CL_PAYLOAD_MODULE && scene.record.layers.count == 1);
        CHECK_TEXT(scene.record.layers.items[0].digest, B);
        CHECK(scene.record.layers.items[0].compression == CL_COMPRESSION_NONE);
        CHECK(((scene.record.set & CL_RECORD_BIT(CL_MANIFEST_TITLE)) != 0) ==
              (rows[i].title != NULL));
        if (rows[i].title != NULL)
            CHECK_TEXT(scene.record.title, rows[i].title);
    }
}

TEST(an_image_may_say_that_its_command_is_a_module)
{
    static const struct {
        const char *variant;
        enum cl_payload payload;
    } rows[] = {
        {"compat", CL_PAYLOAD_FILES_OF_MODULE},
        {"compat-smart", CL_PAYLOAD_FILES_OF_MODULE},
        {"compatible", CL_PAYLOAD_FILES},
        {"", CL_PAYLOAD_FILES},
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        CL_CLEANUP_SCENE struct scene scene = SCENE;
        char text[1024];

        (void)snprintf(text, sizeof(text),
                       IMAGE_HEAD "\"config\":" CONFIG ",\"layers\":[" LAYER
                                  "],\"annotations\":{\"module.wasm.image/variant\":\"%s\"}}",
                       rows[i].variant);
        CHECK(parse(&scene, text, "linux/amd64", MANIFEST) == 0);
        CHECK(scene.record.payload == rows[i].payload);
    }
}

#define TYPED(type)                                                                                \
    "{\"mediaType\":\"" MANIFEST "\",\"digest\":\"" C "\",\"size\":7,\"artifactType\":\"" type "\"}"
#define AMD64 PLAT(MANIFEST, A, "linux", "amd64", "")
#define ARM64_V8 PLAT(MANIFEST, B, "linux", "arm64", ",\"variant\":\"v8\"")

static const struct {
    const char *text;
    const char *platform;
    const char *target; /* or the message */
} choices[] = {
    {INDEX(PLAT(MANIFEST, B, "wasip1", "wasm", "") "," AMD64), "linux/amd64", A},
    {INDEX(ARM64_V8 "," PLAT(MANIFEST, A, "wasi", "wasm", "")), "linux/amd64", A},
    {INDEX(AMD64 "," PLAT(MANIFEST, B, "wasi", "wasm", "")), "wasip1/wasm", B},
    {INDEX(PLAT(MANIFEST, A, "wasip2", "wasm", "") "," PLAT(MANIFEST, B, "wasip1", "wasm", "")),
     "linux/amd64", B},
    {INDEX(PLAT(MANIFEST, A, "wasip2", "wasm", "") "," ARM64_V8), "linux/amd64", A},
    {INDEX(TYPED("application/wasm")), "linux/amd64", C},
    {INDEX(TYPED("application/vnd.wasm.config.v0+json")), "linux/amd64", C},
    {INDEX(TYPED("application/vnd.wasm.module.v1+wasm")), "linux/amd64", C},
    {INDEX(TYPED("application/wasmx")), "linux/amd64", "only attestations and artifacts"},
};

/* What runs on every machine comes after what was asked for. */
TEST(a_module_is_chosen_where_there_is_no_program)
{
    for (size_t i = 0; i < CL_ARRAY_SIZE(choices); i++) {
        CL_CLEANUP_SCENE struct scene scene = SCENE;
        int r = parse(&scene, choices[i].text, choices[i].platform, NULL);

        CHECK((r == 0) == (strncmp(choices[i].target, "sha256:", 7) == 0));
        if (r < 0)
            CHECK_HAS(scene.err.msg, choices[i].target);
        else
            CHECK_TEXT(scene.record.target, choices[i].target);
    }
}

static const struct {
    const char *text;
    const char *message;
} wrong[] = {
    {MODULES(""), "m: 0 WebAssembly modules; an image that is run has one"},
    {MODULES(DESC("application/wasm", B) "," DESC("application/wasm", C)),
     "m: 2 WebAssembly modules; an image that is run has one"},
    {MODULES(LAYER),
     "m: layers[0]: the media type \"" OCI "layer.v1.tar\" is none of a container image's module"},
    {MODULES(DESC("application/vnd.in-toto+json", B)), "an attestation"},
    {MODULES(DESC("application/wasm", "sha256:../x")), "m: layers[0]: digest: "},
    {MODULES(LAYER "],\"annotations\":[\"x\""), "m: annotations: expected object, got array"},
};

TEST(what_is_not_one_module_is_told)
{
    for (size_t i = 0; i < CL_ARRAY_SIZE(wrong); i++) {
        CL_CLEANUP_SCENE struct scene scene = SCENE;

        CHECK(parse(&scene, wrong[i].text, "linux/amd64", NULL) < 0);
        CHECK_HAS(scene.err.msg, wrong[i].message);
    }
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(a_module_is_an_image_too),
        ROW(an_image_may_say_that_its_command_is_a_module),
        ROW(a_module_is_chosen_where_there_is_no_program),
        ROW(what_is_not_one_module_is_told),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
