/* test_pull.c - an image from its origin into the store: what is believed of an origin, of a
 * cloister-image that was taken over, and what two pulls at once do. Downloads that are
 * interrupted: test_pull_downloads.c. */
#include "image/collect.h"
#include "pull_scene.h"

/* --- what works ------------------------------------------------------------------------------ */

TEST(an_image_of_each_compression_is_pulled)
{
    static const enum cl_compression compressions[] = {CL_COMPRESSION_NONE, CL_COMPRESSION_GZIP,
                                                       CL_COMPRESSION_ZSTD};

    for (size_t i = 0; i < CL_ARRAY_SIZE(compressions); i++) {
        CL_CLEANUP_SCENE struct scene scene;
        CL_CLEANUP_FAKE struct fake fake;
        struct cl_pulled pulled;

        scene_init(&scene);
        fake_make(&scene, 'a', 2, compressions[i], &fake);
        CHECK(pull(&fake, &pulled) == 0);
        CHECK_TEXT(scene.err.msg, "");
        CHECK(cl_digest_equal(&pulled.digest, &fake.image.manifest_digest) && !pulled.was_there);
        CHECK(fake.opened == 2);
        check_pulled(&fake, NAME);
        check_settled(&scene);
    }
}

TEST(its_records_say_what_it_is)
{
    CL_CLEANUP_SCENE struct scene scene;
    CL_CLEANUP_FAKE struct fake fake;
    struct cl_image_record record = {0};
    struct cl_plan plan = {0};
    struct cl_pulled pulled;

    scene_init(&scene);
    fake_make(&scene, 'a', 2, CL_COMPRESSION_GZIP, &fake);
    CHECK(pull(&fake, &pulled) == 0);
    CHECK(cl_image_read(&scene.store, &pulled.digest, &scene.arena, &record, &scene.err) == 0);
    CHECK_HAS(record.config, fake.image.config_digest.hex);
    CHECK_TEXT(record.platform, "linux/amd64");
    CHECK(record.layers.count == 2 && record.pulled_s + 60 > (uint64_t)time(NULL));
    CHECK(cl_image_read_launch(&scene.store, &pulled.digest, &scene.arena, &plan, &scene.err) == 0);
    CHECK_TEXT(plan.user, "app");
    CHECK(plan.env.count == 1 && plan.command.count == 1);
    CHECK(check_count_entries(scene_path(&scene, "blobs/sha256")) == 2);
    struct cl_layer_record layer = {0};
    CHECK(cl_layer_read(&scene.store, record.layers.items[0], &scene.arena, &layer, &scene.err) ==
          0);
    CHECK_HAS(layer.blob, fake.layers[0].digest.hex);
    CHECK_HAS(layer.diff_id, fake.layers[0].diff_id.hex);
    CHECK_HAS(layer.chain, fake.layers[0].diff_id.hex); /* of the lowest it is the same */
    CHECK(layer.size_bytes == fake.layers[0].bytes.size && layer.entries == 2);
    CHECK(layer.disk_bytes >= 5000);
}

TEST(what_is_there_is_named_only)
{
    CL_CLEANUP_SCENE struct scene scene;
    CL_CLEANUP_FAKE struct fake fake;
    struct cl_pulled pulled;

    scene_init(&scene);
    fake_make(&scene, 'a', 2, CL_COMPRESSION_GZIP, &fake);
    CHECK(pull(&fake, &pulled) == 0);
    struct cl_pull_how how = pull_how(&fake);
    how.names = (struct cl_strlist){pull_names, 2};
    CHECK(pull_with(&scene, &how, &pulled) == 0);
    CHECK(pulled.was_there && fake.opened == 2);
    check_pulled(&fake, NAME);
    check_pulled(&fake, OTHER);
    CHECK(count_images(&scene) == 1 && count_names(&scene) == 2);
}

TEST(layers_of_another_image_are_used)
{
    CL_CLEANUP_SCENE struct scene scene;
    CL_CLEANUP_FAKE struct fake fake;
    CL_CLEANUP_FAKE struct fake second;
    struct cl_pulled pulled;

    scene_init(&scene);
    fake_make(&scene, 'a', 2, CL_COMPRESSION_GZIP, &fake);
    fake_make(&scene, 'c', 1, CL_COMPRESSION_GZIP, &second);
    CHECK(pull(&fake, &pulled) == 0);
    /* the second's layers: the first's two and one more */
    struct fake both = second;
    both.layers[0] = fake.layers[0];
    both.layers[1] = fake.layers[1];
    both.layers[2] = second.layers[0];
    both.count = 3;
    local_image_make(both.layers, 3, "", &both.image);
    CHECK(pull(&both, &pulled) == 0);
    CHECK_TEXT(scene.err.msg, "");
    CHECK(both.opened == 1);
    check_pulled(&both, NAME);
    CHECK(check_count_entries(scene_path(&scene, "layers")) == 3);
    local_image_done(&both.image);
}

static enum cl_pull_state last_states[PULL_MAX_LAYERS];
static int shown;

static void show(void *context, const struct cl_pull_view *view)
{
    struct fake *fake = context;

    shown++;
    CHECK(view->count == fake->count);
    for (size_t i = 0; i < view->count; i++) {
        CHECK_HAS(view->layers[i].digest, fake->layers[i].digest.hex);
        CHECK(view->layers[i].came_bytes <= view->layers[i].size_bytes);
        CHECK(view->layers[i].state >= last_states[i]);
        last_states[i] = view->layers[i].state;
    }
}

static int find_user(void *context, const struct cl_plan *plan, struct cl_plan *ret,
                     struct cl_error *err)
{
    (void)err;
    CHECK(context != NULL);
    CHECK_TEXT(plan->user, "app");
    CHECK(plan->image_layers.count == 6);
    ret->uid = 77;
    ret->home = "/srv/app";
    cl_plan_mark(ret, CL_FIELD_UID);
    cl_plan_mark(ret, CL_FIELD_HOME);
    return 0;
}

TEST(many_layers_are_made_at_once_and_shown)
{
    CL_CLEANUP_SCENE struct scene scene;
    CL_CLEANUP_FAKE struct fake fake;
    struct cl_pulled pulled;
    struct cl_plan plan = {0};

    scene_init(&scene);
    fake_make(&scene, 'a', 6, CL_COMPRESSION_GZIP, &fake);
    fake_is_remote(&fake);
    struct cl_pull_how how = pull_how(&fake);
    how.show = show;
    how.show_context = &fake;
    how.find_user = find_user;
    how.user_context = &fake;
    memset(last_states, 0, sizeof(last_states));
    CHECK(pull_with(&scene, &how, &pulled) == 0);
    CHECK_TEXT(scene.err.msg, "");
    check_pulled(&fake, NAME);
    CHECK(shown > 1);
    for (size_t i = 0; i < 6; i++)
        CHECK(last_states[i] == CL_PULL_DONE);
    CHECK(cl_image_read_launch(&scene.store, &pulled.digest, &scene.arena, &plan, &scene.err) == 0);
    CHECK_TEXT(plan.home, "/srv/app");
    CHECK(plan.uid == 77 && cl_plan_has(&plan, CL_FIELD_UID) && !cl_plan_has(&plan, CL_FIELD_GID));
}

/* --- what isn't believed ---------------------------------------------------------------------- */

TEST(a_manifest_of_another_digest_is_refused)
{
    CL_CLEANUP_SCENE struct scene scene;
    CL_CLEANUP_FAKE struct fake fake;
    struct cl_pulled pulled;

    scene_init(&scene);
    fake_make(&scene, 'a', 1, CL_COMPRESSION_NONE, &fake);
    struct cl_pull_how how = pull_how(&fake);
    how.digest = digest_text('a');
    CHECK(pull_with(&scene, &how, &pulled) == -EBADMSG);
    CHECK_HAS(scene.err.msg, "the manifest that came is sha256:");
    CHECK(fake.opened == 0 && count_images(&scene) == 0 && count_names(&scene) == 0);
    CHECK(check_count_entries(scene_path(&scene, "blobs/sha256")) == 0);
    check_settled(&scene);
}

/* An index whose manifest is the index itself, as far as its digest may say. */
TEST(an_index_that_leads_to_an_index_for_ever_is_refused)
{
    CL_CLEANUP_SCENE struct scene scene;
    CL_CLEANUP_FAKE struct fake fake;
    CL_CLEANUP_BUF struct cl_buf record = CL_BUF_INIT(4096);
    CL_CLEANUP_BUF struct cl_buf index = CL_BUF_INIT(4096);
    struct cl_digest digest;
    char text[CL_DIGEST_TEXT_SIZE];
    struct cl_pulled pulled;

    scene_init(&scene);
    fake_make(&scene, 'a', 1, CL_COMPRESSION_NONE, &fake);
    CHECK(cl_buf_add_str(&index, "an index") == 0);
    cl_digest_of("an index", 8, &digest);
    const struct cl_manifest_record choice = {
        .set = CL_RECORD_BIT(CL_MANIFEST_KIND) | CL_RECORD_BIT(CL_MANIFEST_TARGET) |
               CL_RECORD_BIT(CL_MANIFEST_TARGET_SIZE),
        .kind = CL_MANIFEST_CHOICE,
        .target = cl_digest_format(&digest, text),
        .target_size_bytes = 8,
    };
    CHECK(cl_flat_write(&cl_manifest_shape, &choice, &record, &scene.err) == 0);
    program_offer("record", record.data, record.size);
    program_fake("cloister-image", "manifest", "cat $dir/record");
    fake.index = &index;
    fake.depth = 1000;
    CHECK(pull(&fake, &pulled) == -ELOOP);
    CHECK(fake.depth > 900);
    program_real("cloister-image");
}

static void spoil_config(struct fake *fake)
{
    fake->image.config.data[fake->image.config.size - 2] = ' ';
}

static void shorten_config(struct fake *fake)
{
    fake->image.config.size--;
}

static void change_layer(struct fake *fake)
{
    CHECK(pwrite(fake->layers[0].file, "XXXX", 4, 100) == 4);
}

static void shorten_layer(struct fake *fake)
{
    CHECK(ftruncate(fake->layers[0].file, (off_t)fake->layers[0].bytes.size - 512) == 0);
}

static void remake(struct fake *fake)
{
    local_image_done(&fake->image);
    local_image_make(fake->layers, fake->count, "", &fake->image);
}

static void lie_about_size(struct fake *fake)
{
    fake->layers[0].bytes.size -= 512;
    remake(fake);
    fake->layers[0].bytes.size += 512;
}

static void lie_about_diff_id(struct fake *fake)
{
    fake->layers[0].diff_id = digest_of('a');
    remake(fake);
}

static void fail_open(struct fake *fake)
{
    fake->fail_open = ENOENT;
}

TEST(bytes_are_what_their_digest_says)
{
    static const struct {
        fake_fn *spoil;
        int code;
        const char *message;
    } rows[] = {
        {spoil_config, EBADMSG, "the config that came is not the one"},
        {shorten_config, EBADMSG, "the config that came is not the one"},
        {change_layer, 0, "layer sha256:"},
        {shorten_layer, 0, "layer sha256:"},
        {lie_about_size, 0, "layer sha256:"},
        {lie_about_diff_id, EBADMSG, "and the image's config says sha256:aaaaaaaaaaaa"},
        {fail_open, ENOENT, "no such blob"},
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        CL_CLEANUP_SCENE struct scene scene;
        CL_CLEANUP_FAKE struct fake fake;
        struct cl_pulled pulled;

        scene_init(&scene);
        fake_make(&scene, 'a', 1, CL_COMPRESSION_NONE, &fake);
        rows[i].spoil(&fake);
        int r = pull(&fake, &pulled);
        CHECK(r < 0 && (rows[i].code == 0 || r == -rows[i].code));
        CHECK_HAS(scene.err.msg, rows[i].message);
        CHECK(count_images(&scene) == 0 && count_names(&scene) == 0);
        CHECK(check_count_entries(scene_path(&scene, "layers")) == 0);
        CHECK(check_count_entries(scene_path(&scene, "blobs/sha256")) == 0);
        check_settled(&scene);
    }
}

TEST(more_than_the_limits_allow_is_refused)
{
    CL_CLEANUP_SCENE struct scene scene;
    CL_CLEANUP_FAKE struct fake fake;
    struct cl_pulled pulled;

    scene_init(&scene);
    fake_make(&scene, 'a', 1, CL_COMPRESSION_GZIP, &fake);
    struct cl_pull_how how = pull_how(&fake);
    how.max_bytes = 1000;
    CHECK(pull_with(&scene, &how, &pulled) < 0);
    CHECK_HAS(scene.err.msg, "layer sha256:");
    how = pull_how(&fake);
    how.max_entries = 1;
    CHECK(pull_with(&scene, &how, &pulled) < 0);
    check_settled(&scene);
}

/* --- a helper that was taken over ------------------------------------------------------------ */

static void offer(const struct cl_flat_shape *shape, const void *record)
{
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(CL_MAX_RECORD_BYTES);
    struct cl_error err = {0};

    CHECK(cl_flat_write(shape, record, &buf, &err) == 0);
    program_offer("record", buf.data, buf.size);
}

/* A pull whose helper says RECORD of what VERB parses. */
static void refuse_record(const struct cl_flat_shape *shape, const char *verb, const void *record)
{
    CL_CLEANUP_SCENE struct scene scene;
    CL_CLEANUP_FAKE struct fake fake;
    struct cl_pulled pulled;

    scene_init(&scene);
    fake_make(&scene, 'a', 1, CL_COMPRESSION_NONE, &fake);
    offer(shape, record);
    program_fake("cloister-image", verb, "cat $dir/record");
    CHECK(pull(&fake, &pulled) < 0);
    CHECK(scene.err.msg[0] != '\0');
    CHECK(fake.opened == 0);
    check_settled(&scene);
}

#define SET(field) CL_RECORD_BIT(CL_MANIFEST_##field)
#define SOME_DIGEST "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

TEST(a_manifest_that_says_too_little_is_refused)
{
    static const struct cl_manifest_layer layer = {"", 10, CL_COMPRESSION_NONE};
    static const struct cl_manifest_layer strange = {"sha256:../../etc", 10, CL_COMPRESSION_GZIP};
    static const struct cl_manifest_record records[] = {
        {.set = 0},
        {.set = SET(KIND), .kind = CL_MANIFEST_IMAGE},
        {.set = SET(KIND), .kind = CL_MANIFEST_CHOICE},
        {.set = SET(LAYERS), .layers = {&layer, 1}},
        {.set = SET(KIND) | SET(LAYERS), .kind = CL_MANIFEST_IMAGE, .layers = {&strange, 1}},
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(records); i++)
        refuse_record(&cl_manifest_shape, "manifest", &records[i]);
    program_real("cloister-image");
}

/* What the core takes for one layer, and for its digest. */
TEST(a_module_that_is_none_is_refused)
{
    static const struct cl_manifest_layer packed[] = {{SOME_DIGEST, 10, CL_COMPRESSION_GZIP}};
    static const struct cl_manifest_layer two[] = {{SOME_DIGEST, 10, CL_COMPRESSION_NONE},
                                                   {SOME_DIGEST, 10, CL_COMPRESSION_NONE}};
    static const struct cl_manifest_layers layers[] = {{NULL, 0}, {packed, 1}, {two, 2}};

    for (size_t i = 0; i < CL_ARRAY_SIZE(layers); i++) {
        const struct cl_manifest_record record = {
            .set = SET(KIND) | SET(TARGET) | SET(LAYERS) | SET(PAYLOAD),
            .kind = CL_MANIFEST_IMAGE,
            .target = SOME_DIGEST,
            .layers = layers[i],
            .payload = CL_PAYLOAD_MODULE,
        };

        refuse_record(&cl_manifest_shape, "manifest", &record);
    }
    program_real("cloister-image");
}

TEST(a_config_that_says_too_little_is_refused)
{
    static const char *const strange[] = {"sha256:../../etc"};
    static const struct cl_config_record records[] = {
        {.set = 0},
        {.set = CL_RECORD_BIT(CL_CONFIG_DIFF_IDS), .diff_ids = {strange, 1}},
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(records); i++)
        refuse_record(&cl_config_shape, "config", &records[i]);
    program_real("cloister-image");
}

/* A layer whose unpacking says what it likes of itself. */
TEST(numbers_of_who_unpacks_make_no_damage)
{
    CL_CLEANUP_SCENE struct scene scene;
    CL_CLEANUP_FAKE struct fake fake;
    struct cl_pulled pulled;

    scene_init(&scene);
    fake_make(&scene, 'a', 1, CL_COMPRESSION_NONE, &fake);
    program_fake("cloister-image", "unpack",
                 "exec unshare --user -- sh -c 'printf r >&4; head -c 1 <&4 >/dev/null; "
                 "cat >/dev/null; head -c 48 /dev/zero | tr \"\\\\0\" \"\\\\377\" >&3'");
    int r = pull(&fake, &pulled);
    CHECK(r == 0 || scene.err.msg[0] != '\0');
    program_real("cloister-image");
    const struct cl_collect_how how = {.budget_bytes = 1,
                                       .uid_base = geteuid() == 0 ? PULL_UID_BASE : 0};
    struct cl_collected collected;
    CHECK(cl_collect(&scene.store, &how, &collected, &scene.err) == 0);
    CHECK_TEXT(r == 0 ? scene.err.msg : "", "");
}

/* --- collections and other pulls meanwhile
 * --------------------------------------------------------- */

static void collect_all(struct fake *fake)
{
    const struct cl_collect_how how = {.all = 1,
                                       .unnamed = 1,
                                       .downloads = 1,
                                       .budget_bytes = 0,
                                       .uid_base = geteuid() == 0 ? PULL_UID_BASE : 0};
    struct cl_collected collected;
    struct cl_error err = {0};

    CHECK(cl_collect(&fake->scene->store, &how, &collected, &err) == 0);
    CHECK_TEXT(err.msg, "");
}

TEST(a_collection_meanwhile_takes_nothing)
{
    CL_CLEANUP_SCENE struct scene scene;
    CL_CLEANUP_FAKE struct fake fake;
    struct cl_pulled pulled;

    scene_init(&scene);
    fake_make(&scene, 'a', 3, CL_COMPRESSION_GZIP, &fake);
    fake.in_config = collect_all;
    fake.in_open = collect_all;
    CHECK(pull(&fake, &pulled) == 0);
    CHECK_TEXT(scene.err.msg, "");
    check_pulled(&fake, NAME);
    CHECK(check_count_entries(scene_path(&scene, "blobs/sha256")) == 2);
    /* and with the layers there, and their images gone */
    CHECK(cl_image_remove(&scene.store, &pulled.digest, &scene.err) == 0);
    fake.in_open = NULL;
    CHECK(pull(&fake, &pulled) == 0);
    check_pulled(&fake, NAME);
}

TEST(two_pulls_of_one_image_make_one)
{
    CL_CLEANUP_SCENE struct scene scene;
    CL_CLEANUP_FAKE struct fake fake;
    struct cl_pulled pulled;

    scene_init(&scene);
    fake_make(&scene, 'a', 3, CL_COMPRESSION_GZIP, &fake);
    for (int round = 0; round < 5; round++) {
        struct other other;

        if (other_start(&other)) {
            CHECK(pull(&fake, &pulled) == 0);
            CHECK_TEXT(scene.err.msg, "");
            other_exit();
        }
        CHECK(pull(&fake, &pulled) == 0);
        CHECK_TEXT(scene.err.msg, "");
        other_join(&other);
        check_pulled(&fake, NAME);
        CHECK(check_count_entries(scene_path(&scene, "layers")) == 3);
        CHECK(cl_image_remove(&scene.store, &pulled.digest, &scene.err) == 0);
        collect_all(&fake);
    }
    check_settled(&scene);
}

static struct fake *first; /* whole, when the other pull is in its middle */
static int first_use = -1;

/* Somebody else pulls the image, and runs it. */
static void pull_and_use_meanwhile(struct fake *fake)
{
    struct cl_pulled pulled;

    if (first_use >= 0)
        return;
    CHECK(pull(first, &pulled) == 0);
    first_use = image_hold(fake->scene, NAME);
    CHECK(first_use >= 0);
}

TEST(an_image_that_is_used_stays_in_use_when_it_is_pulled_again)
{
    CL_CLEANUP_SCENE struct scene scene;
    CL_CLEANUP_FAKE struct fake fake;
    CL_CLEANUP_FAKE struct fake same;
    struct cl_pulled pulled;

    scene_init(&scene);
    fake_make(&scene, 'a', 1, CL_COMPRESSION_NONE, &same);
    fake = same; /* its own to free */
    same = (struct fake){.scene = &scene, .news = {-1, -1}, .ticks = -1};
    struct fake other = fake;
    first = &other;
    fake.in_config = pull_and_use_meanwhile;
    CHECK(pull(&fake, &pulled) == 0);
    CHECK_TEXT(scene.err.msg, "");
    CHECK(cl_image_remove(&scene.store, &pulled.digest, &scene.err) == -EBUSY);
    cl_fd_close(&first_use);
    CHECK(cl_image_remove(&scene.store, &pulled.digest, &scene.err) == 0);
}

/* A loss of power soon after a pull may leave empty files. */
TEST(an_image_whose_records_were_lost_is_pulled_again)
{
    static const char *const directories[] = {"launch", "images"};

    for (size_t i = 0; i < CL_ARRAY_SIZE(directories); i++) {
        CL_CLEANUP_SCENE struct scene scene;
        CL_CLEANUP_FAKE struct fake fake;
        struct cl_pulled pulled;

        scene_init(&scene);
        fake_make(&scene, 'a', 2, CL_COMPRESSION_NONE, &fake);
        CHECK(pull(&fake, &pulled) == 0);
        CHECK(truncate(scene_path(&scene, "%s/%s", directories[i], pulled.digest.hex), 0) == 0);
        CHECK(pull(&fake, &pulled) == 0);
        CHECK_TEXT(scene.err.msg, "");
        CHECK(fake.opened == 2); /* the layers are there */
        check_pulled(&fake, NAME);
        CHECK(count_names(&scene) == 1);
    }
}

/* --- what fails ----------------------------------------------------------------------------------
 */

TEST(whatever_fails_of_a_pull_it_can_be_pulled_again)
{
#ifndef CL_FAULTS
    SKIP_TEST("needs a build with faults");
#else
    CL_CLEANUP_SCENE struct scene scene;
    CL_CLEANUP_FAKE struct fake fake;
    struct cl_pulled pulled;
    int nth = 0;

    scene_init(&scene);
    fake_make(&scene, 'a', 1, CL_COMPRESSION_NONE, &fake);
    const int before = check_count_fds();
    for (struct faults faults = FAULTS_INIT; faults.struck; nth++) {
        fault_begin(&faults);
        int r = pull(&fake, &pulled);
        fault_end(&faults);
        faults.nth++; /* every other call: each takes five processes */
        CHECK(r == 0 || scene.err.msg[0] != '\0');
        CHECK(check_count_fds() == before);
        CHECK(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
        if (r == 0)
            check_pulled(&fake, NAME);
        (void)cl_image_remove(&scene.store, &fake.image.manifest_digest, &scene.err);
        collect_all(&fake);
        check_settled(&scene);
    }
    CHECK(nth > 50);
    CHECK(pull(&fake, &pulled) == 0);
    check_pulled(&fake, NAME);
#endif
}

int main(int argc, char *argv[])
{
    static const struct check_test tests[] = {
        ROW(an_image_of_each_compression_is_pulled),
        ROW(its_records_say_what_it_is),
        ROW(what_is_there_is_named_only),
        ROW(layers_of_another_image_are_used),
        ROW(many_layers_are_made_at_once_and_shown),
        ROW(a_manifest_of_another_digest_is_refused),
        ROW(an_index_that_leads_to_an_index_for_ever_is_refused),
        ROW(bytes_are_what_their_digest_says),
        ROW(more_than_the_limits_allow_is_refused),
        ROW(a_manifest_that_says_too_little_is_refused),
        ROW(a_module_that_is_none_is_refused),
        ROW(a_config_that_says_too_little_is_refused),
        ROW(numbers_of_who_unpacks_make_no_damage),
        ROW(a_collection_meanwhile_takes_nothing),
        ROW(two_pulls_of_one_image_make_one),
        ROW(an_image_that_is_used_stays_in_use_when_it_is_pulled_again),
        ROW(an_image_whose_records_were_lost_is_pulled_again),
        ROW(whatever_fails_of_a_pull_it_can_be_pulled_again),
    };

    programs_enter(argc, argv);
    program_real("cloister-image");
    int r = check_run(tests, CL_ARRAY_SIZE(tests));
    programs_leave();
    return r;
}
