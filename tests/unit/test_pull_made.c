/* test_pull_made.c - images whose manifest their origin made: layers that have no digest, which no
 * other image may have. */
#include "pull_scene.h"

struct made {
    struct scene scene;
    struct fake fake;
    struct cl_manifest_layer layers[2];
    struct cl_manifest_record record;
    char target[CL_DIGEST_TEXT_SIZE];
};

/* Of two layers, which the record has without a digest. */
static void set_up(struct made *made, enum cl_compression compression)
{
    *made = (struct made){.record = {.set = 0}};
    scene_init(&made->scene);
    fake_make(&made->scene, 'a', 2, compression, &made->fake);
    for (size_t i = 0; i < 2; i++)
        made->layers[i] = (struct cl_manifest_layer){
            .digest = "",
            .size_bytes = made->fake.layers[i].bytes.size,
            .compression = compression,
        };
    made->record = (struct cl_manifest_record){
        .set = CL_RECORD_BIT(CL_MANIFEST_KIND) | CL_RECORD_BIT(CL_MANIFEST_TARGET) |
               CL_RECORD_BIT(CL_MANIFEST_TARGET_SIZE) | CL_RECORD_BIT(CL_MANIFEST_LAYERS),
        .kind = CL_MANIFEST_IMAGE,
        .target = cl_digest_format(&made->fake.image.config_digest, made->target),
        .target_size_bytes = made->fake.image.config.size,
        .layers = {made->layers, 2},
    };
}

static void clean_up(struct made *made)
{
    fake_done(&made->fake);
    scene_done(&made->scene);
}
#define CL_CLEANUP_MADE CL_CLEANUP(clean_up)

TEST(layers_without_a_digest_are_judged_by_their_diff_ids)
{
    for (unsigned int i = 0; i < CL_COMPRESSION_COUNT; i++) {
        CL_CLEANUP_MADE struct made made;
        struct cl_pulled pulled;

        set_up(&made, (enum cl_compression)i);
        made.fake.origin.made = &made.record;
        program_fake("cloister-image", "manifest", "exit 1"); /* nobody parses it */
        CHECK(pull(&made.fake, &pulled) == 0);
        CHECK_TEXT(made.scene.err.msg, "");
        check_pulled(&made.fake, NAME);
        check_settled(&made.scene);
    }
    program_real("cloister-image");
}

static void other_bytes(struct made *made)
{
    CHECK(pwrite(made->fake.layers[1].file, "XXXX", 4, 1600) == 4);
}

static void other_size(struct made *made)
{
    made->layers[1].size_bytes--;
}

static void other_config(struct made *made)
{
    made->record.target_size_bytes--;
}

TEST(other_bytes_are_refused_by_that_name)
{
    static const struct {
        void (*spoil)(struct made *made);
        const char *message;
    } rows[] = {
        {other_bytes, "its plain bytes are sha256:"},
        {other_size, "layer sha256:"},
        {other_config, "the config that came is not the one that the manifest names"},
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        CL_CLEANUP_MADE struct made made;
        struct cl_pulled pulled;
        char subject[32];

        set_up(&made, CL_COMPRESSION_NONE);
        made.fake.origin.made = &made.record;
        rows[i].spoil(&made);
        CHECK(pull(&made.fake, &pulled) < 0);
        CHECK_HAS(made.scene.err.msg, rows[i].message);
        (void)snprintf(subject, sizeof(subject), "layer sha256:%.12s",
                       made.fake.layers[1].diff_id.hex);
        CHECK(rows[i].spoil == other_config || strstr(made.scene.err.msg, subject) != NULL);
        check_settled(&made.scene);
    }
}

/* A cloister-image that was taken over can't say so of a manifest that came. */
TEST(no_other_image_has_such_layers)
{
    for (int downloads = 0; downloads <= 1; downloads++) {
        CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(CL_MAX_RECORD_BYTES);
        CL_CLEANUP_MADE struct made made;
        struct cl_pulled pulled;

        set_up(&made, CL_COMPRESSION_GZIP);
        if (downloads)
            fake_is_remote(&made.fake);
        CHECK(cl_flat_write(&cl_manifest_shape, &made.record, &buf, &made.scene.err) == 0);
        program_offer("record", buf.data, buf.size);
        program_fake("cloister-image", "manifest", "cat $dir/record");
        CHECK(pull(&made.fake, &pulled) < 0);
        CHECK_HAS(made.scene.err.msg, "layer 1: ");
        CHECK(made.fake.opened == 0);
        CHECK(check_count_entries(scene_path(&made.scene, "downloads")) == 0);
        check_settled(&made.scene);
        program_real("cloister-image");
    }
}

int main(int argc, char *argv[])
{
    static const struct check_test tests[] = {
        ROW(layers_without_a_digest_are_judged_by_their_diff_ids),
        ROW(other_bytes_are_refused_by_that_name),
        ROW(no_other_image_has_such_layers),
    };

    programs_enter(argc, argv);
    program_real("cloister-image");
    int r = check_run(tests, CL_ARRAY_SIZE(tests));
    programs_leave();
    return r;
}
