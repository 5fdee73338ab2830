/* test_local.c - images that are on this host already: layouts, archives, and what a
 * cloister-image that was taken over may say of them. */
#include "image/local.h"
#include "local_scene.h"

struct local {
    struct scene scene;
    struct blob layers[2];
    struct local_image image;
    struct cl_local_origin origin;
    struct cl_buf bytes;
    char type[CL_MEDIA_TYPE_SIZE];
    int before;
};

static void set_up(struct local *local)
{
    *local = (struct local){.bytes = CL_BUF_INIT(1 << 20)};
    program_real("cloister-image");
    scene_init_bare(&local->scene);
    blob_make(&local->scene, 'a', CL_COMPRESSION_NONE, 10, &local->layers[0]);
    blob_make(&local->scene, 'b', CL_COMPRESSION_NONE, 20, &local->layers[1]);
    local_image_make(local->layers, 2, "\"User\":\"app\"", &local->image);
    local_layout(&local->scene, &local->image, local->layers, 2, "v1");
    local_saved(&local->scene, &local->image, local->layers, 2);
    local->before = check_count_fds();
}

static void clean_up(struct local *local)
{
    CHECK(check_count_fds() == local->before);
    CHECK(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
    for (size_t i = 0; i < 2; i++)
        blob_done(&local->layers[i]);
    local_image_done(&local->image);
    cl_buf_done(&local->bytes);
    scene_done(&local->scene);
}
#define CL_CLEANUP_LOCAL CL_CLEANUP(clean_up)

static int open_local(struct local *local, enum cl_local_kind kind, const char *name)
{
    char text[SCENE_PATH_SIZE];

    (void)snprintf(text, sizeof(text), "%s/%s", local->scene.dir, name);
    local->scene.err = (struct cl_error){0};
    const struct cl_local_how how = {.kind = kind,
                                     .text = cl_arena_strdup(&local->scene.arena, text),
                                     .platform = "linux/amd64",
                                     .archive = -1};
    return cl_local_open(&how, &local->scene.arena, &local->origin, &local->scene.err);
}

static int get_manifest(struct local *local, const char *reference)
{
    struct cl_origin *origin = &local->origin.origin;

    local->scene.err = (struct cl_error){0};
    local->bytes.size = 0;
    return origin->manifest(origin, reference, &local->bytes, local->type, &local->scene.err);
}

/* The bytes that the layer INDEX's source leads to are those of the layer. */
static void check_layer(struct local *local, size_t index)
{
    const struct blob *blob = &local->layers[index];
    char digest[CL_DIGEST_TEXT_SIZE];
    const struct cl_manifest_layer layer = {.digest = cl_digest_format(&blob->digest, digest),
                                            .size_bytes = blob->bytes.size};
    const struct cl_blob_wanted wanted = {.layer = &layer, .index = index, .download = -1};
    struct cl_blob_source source = {.fd = -1, .ticks = -1};
    struct cl_origin *origin = &local->origin.origin;
    char bytes[32768];

    CHECK(blob->bytes.size <= sizeof(bytes));
    CHECK(origin->open(origin, &wanted, &source, &local->scene.err) == 0);
    CHECK_TEXT(local->scene.err.msg, "");
    CHECK(source.fd >= 0 && source.ticks == -1 && source.id == 0);
    CHECK(pread(source.fd, bytes, blob->bytes.size, (off_t)source.offset_bytes) ==
          (ssize_t)blob->bytes.size);
    CHECK(memcmp(bytes, blob->bytes.data, blob->bytes.size) == 0);
}

static void check_documents(struct local *local)
{
    struct cl_origin *origin = &local->origin.origin;
    char digest[CL_DIGEST_TEXT_SIZE];
    const struct cl_manifest_record manifest = {
        .target = cl_digest_format(&local->image.config_digest, digest),
        .target_size_bytes = local->image.config.size};

    CHECK(!origin->downloads && origin->news == -1);
    CHECK(get_manifest(local, NULL) == 0);
    CHECK_TEXT(local->scene.err.msg, "");
    CHECK_TEXT(cl_buf_text(&local->bytes), cl_buf_text(&local->image.manifest));
    local->bytes.size = 0;
    CHECK(origin->config(origin, &manifest, &local->bytes, &local->scene.err) == 0);
    CHECK_TEXT(cl_buf_text(&local->bytes), cl_buf_text(&local->image.config));
    CHECK(get_manifest(local, cl_digest_format(&local->image.manifest_digest, digest)) == 0);
    CHECK_TEXT(cl_buf_text(&local->bytes), cl_buf_text(&local->image.manifest));
}

static const struct {
    enum cl_local_kind kind;
    const char *name;
} layouts[] = {
    {CL_LOCAL_DIRECTORY, "layout"},          {CL_LOCAL_DIRECTORY, "layout:v1"},
    {CL_LOCAL_DIRECTORY, "layout/"},         {CL_LOCAL_OCI_ARCHIVE, "layout.tar"},
    {CL_LOCAL_OCI_ARCHIVE, "layout.tar:v1"}, {CL_LOCAL_DOCKER_ARCHIVE, "layout.tar"},
};

TEST(a_layout_is_read_where_it_lies)
{
    for (size_t i = 0; i < CL_ARRAY_SIZE(layouts); i++) {
        CL_CLEANUP_LOCAL struct local local;

        set_up(&local);
        CHECK(open_local(&local, layouts[i].kind, layouts[i].name) == 0);
        CHECK_TEXT(local.scene.err.msg, "");
        check_documents(&local);
        check_layer(&local, 0);
        check_layer(&local, 1);
        check_layer(&local, 0); /* again, as after a wrong start */
        cl_local_done(&local.origin);
        cl_local_done(&local.origin); /* twice is as once */
    }
}

/* Its manifest is ours: the same for the same image, and its layers' digests are their diffIDs. */
TEST(what_docker_saved_gets_a_manifest)
{
    CL_CLEANUP_LOCAL struct local local;
    struct cl_origin *origin = &local.origin.origin;
    const struct cl_manifest_record none = {0};
    CL_CLEANUP_BUF struct cl_buf first = CL_BUF_INIT(1 << 20);

    set_up(&local);
    CHECK(open_local(&local, CL_LOCAL_DOCKER_ARCHIVE, "saved.tar") == 0);
    CHECK_TEXT(local.scene.err.msg, "");
    CHECK(get_manifest(&local, NULL) == 0);
    CHECK_HAS(cl_buf_text(&local.bytes), local.image.config_digest.hex);
    CHECK_HAS(cl_buf_text(&local.bytes), local.layers[0].diff_id.hex);
    CHECK_HAS(cl_buf_text(&local.bytes), local.layers[1].diff_id.hex);
    CHECK(cl_buf_add(&first, local.bytes.data, local.bytes.size) == 0);
    CHECK(get_manifest(&local, NULL) == 0);
    CHECK_TEXT(cl_buf_text(&local.bytes), cl_buf_text(&first));
    local.bytes.size = 0;
    CHECK(origin->config(origin, &none, &local.bytes, &local.scene.err) == 0);
    CHECK_TEXT(cl_buf_text(&local.bytes), cl_buf_text(&local.image.config));
    check_layer(&local, 0);
    check_layer(&local, 1);
    cl_local_done(&local.origin);
    CHECK(open_local(&local, CL_LOCAL_DOCKER_ARCHIVE, "saved.tar:debian:12") < 0 ||
          get_manifest(&local, NULL) == 0);
    cl_local_done(&local.origin);
}

/* Replaces its layers by those of these compressions, and packs it anew. */
static void pack_saved(struct local *local, enum cl_compression first, enum cl_compression second)
{
    for (size_t i = 0; i < 2; i++)
        blob_done(&local->layers[i]);
    local_image_done(&local->image);
    blob_make(&local->scene, 'a', first, 10, &local->layers[0]);
    blob_make(&local->scene, 'b', second, 20, &local->layers[1]);
    local_image_make(local->layers, 2, "", &local->image);
    local_saved(&local->scene, &local->image, local->layers, 2);
}

static void check_made(const struct local *local, size_t index)
{
    const struct cl_manifest_layer *layer = &local->origin.origin.made->layers.items[index];
    const struct blob *blob = &local->layers[index];
    const char *text = cl_buf_text(&local->bytes);
    char digest[CL_DIGEST_TEXT_SIZE];

    CHECK(layer->compression == (uint32_t)blob->compression);
    CHECK(layer->size_bytes == blob->bytes.size);
    if (blob->compression == CL_COMPRESSION_NONE) {
        CHECK_TEXT(layer->digest, cl_digest_format(&blob->diff_id, digest));
        CHECK_HAS(text, digest);
    } else {
        CHECK_TEXT(layer->digest, "");
        CHECK(strstr(text, blob->digest.hex) == NULL && strstr(text, blob->diff_id.hex) == NULL);
        CHECK_HAS(text, blob->compression == CL_COMPRESSION_GZIP ? "tar+gzip" : "tar+zstd");
    }
}

TEST(what_docker_loads_may_have_compressed_layers)
{
    for (unsigned int first = 0; first < CL_COMPRESSION_COUNT; first++) {
        CL_CLEANUP_LOCAL struct local local;
        char digest[CL_DIGEST_TEXT_SIZE];

        set_up(&local);
        pack_saved(&local, (enum cl_compression)first, CL_COMPRESSION_GZIP);
        CHECK(open_local(&local, CL_LOCAL_DOCKER_ARCHIVE, "saved.tar") == 0);
        CHECK(local.origin.origin.made == NULL);
        CHECK(get_manifest(&local, NULL) == 0);
        CHECK_TEXT(local.scene.err.msg, "");
        const struct cl_manifest_record *made = local.origin.origin.made;
        CHECK(made != NULL && made->kind == CL_MANIFEST_IMAGE && made->layers.count == 2);
        CHECK_TEXT(made->target, cl_digest_format(&local.image.config_digest, digest));
        CHECK(made->target_size_bytes == local.image.config.size);
        for (size_t i = 0; i < 2; i++) {
            check_made(&local, i);
            check_layer(&local, i);
        }
        cl_local_done(&local.origin);
    }
}

TEST(layers_that_nobody_reads_are_told_by_name)
{
    static const struct {
        const char *head;
        const char *message;
    } rows[] = {
        {"\\3757zXZ\\0", "layer 2 is compressed by xz, which is not read here; skopeo copy "},
        {"BZh9", "layer 2 is compressed by bzip2"},
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        CL_CLEANUP_LOCAL struct local local;

        set_up(&local);
        CHECK(scene_shell("cd %s/saved && printf '%s' >1.tar && tar -cf ../saved.tar *",
                          local.scene.dir, rows[i].head) == 0);
        CHECK(open_local(&local, CL_LOCAL_DOCKER_ARCHIVE, "saved.tar") == 0);
        CHECK(get_manifest(&local, NULL) == -ENOTSUP);
        CHECK_HAS(local.scene.err.msg, rows[i].message);
        CHECK(local.origin.origin.made == NULL);
        cl_local_done(&local.origin);
    }
}

/* As `import` and standard input have it. */
TEST(an_archive_may_be_open_already)
{
    CL_CLEANUP_LOCAL struct local local;
    char path[SCENE_PATH_SIZE];

    set_up(&local);
    (void)snprintf(path, sizeof(path), "%s/layout.tar", local.scene.dir);
    for (int good = 0; good <= 1; good++) {
        const struct cl_local_how how = {.kind = CL_LOCAL_OCI_ARCHIVE,
                                         .text = good ? "-" : "-:v2",
                                         .platform = "linux/amd64",
                                         .archive = open(path, O_RDONLY | O_CLOEXEC)};

        CHECK(how.archive >= 0);
        CHECK(cl_local_open(&how, &local.scene.arena, &local.origin, &local.scene.err) ==
              (good ? 0 : -local.scene.err.code));
        CHECK(good || fcntl(how.archive, F_GETFD) < 0); /* taken all the same */
        local.scene.err = (struct cl_error){0};
    }
    check_documents(&local);
    check_layer(&local, 1);
    cl_local_done(&local.origin);
}

TEST(its_names_are_whole)
{
    CL_CLEANUP_LOCAL struct local local;
    struct cl_strlist names = {0};

    set_up(&local);
    CHECK(open_local(&local, CL_LOCAL_DOCKER_ARCHIVE, "saved.tar") == 0);
    CHECK(cl_local_names(&local.origin, &local.scene.arena, &names, &local.scene.err) == 0);
    CHECK(names.count == 1);
    CHECK_TEXT(names.count == 0 ? NULL : names.items[0], "docker.io/library/debian:12");
    cl_local_done(&local.origin);
    CHECK(open_local(&local, CL_LOCAL_DIRECTORY, "layout") == 0);
    CHECK(cl_local_names(&local.origin, &local.scene.arena, &names, &local.scene.err) == 0);
    CHECK(names.count == 0); /* "v1" is a tag, of whatever */
    cl_local_done(&local.origin);
}

/* --- what isn't there, or isn't one ------------------------------------------------------------
 */

TEST(what_can_not_be_opened_is_told)
{
    static const struct {
        enum cl_local_kind kind;
        const char *name;
        const char *message;
    } rows[] = {
        {CL_LOCAL_DIRECTORY, "nothing", "nothing"},
        {CL_LOCAL_DIRECTORY, "layout.tar", "layout.tar"},
        {CL_LOCAL_DIRECTORY, "layout:", "tag"},
        {CL_LOCAL_OCI_ARCHIVE, "nothing.tar", "nothing.tar"},
        {CL_LOCAL_OCI_ARCHIVE, "layout", "layout"},
        {CL_LOCAL_OCI_ARCHIVE, "fifo", "fifo"},
        {CL_LOCAL_OCI_ARCHIVE, "layer", "layer"},
        {CL_LOCAL_DOCKER_ARCHIVE, "layer.tar", "manifest.json"},
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        CL_CLEANUP_LOCAL struct local local;

        set_up(&local);
        CHECK(scene_shell("mkfifo %s/fifo", local.scene.dir) == 0);
        CHECK(open_local(&local, rows[i].kind, rows[i].name) < 0);
        CHECK_HAS(local.scene.err.msg, rows[i].message);
    }
}

TEST(a_path_that_names_nothing_is_told)
{
    static const char *const texts[] = {"", ":", ":tag"};

    program_real("cloister-image");
    for (size_t i = 0; i < CL_ARRAY_SIZE(texts); i++) {
        CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(1 << 20);
        struct cl_local_origin origin;
        struct cl_error err = {0};

        const struct cl_local_how how = {
            .kind = CL_LOCAL_DIRECTORY, .text = texts[i], .platform = "linux/amd64", .archive = -1};
        CHECK(cl_local_open(&how, &arena, &origin, &err) == -EINVAL);
        CHECK(err.msg[0] != '\0');
    }
}

TEST(a_tag_that_is_not_there_is_told)
{
    CL_CLEANUP_LOCAL struct local local;

    set_up(&local);
    CHECK(open_local(&local, CL_LOCAL_DIRECTORY, "layout:v2") < 0);
    CHECK_HAS(local.scene.err.msg, "v2");
}

/* --- hostile layouts
 * ------------------------------------------------------------------------------ */

/* What a blob is in its directory: never anything but a regular file of it. */
TEST(a_blob_is_a_file_of_the_layout)
{
    static const char *const tricks[] = {
        "ln -s /etc/passwd $f",
        "ln -s ../../index.json $f",
        "mkfifo $f",
        "mkdir $f",
        ":",
        "cd .. && mv sha256 x && ln -s x sha256",
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(tricks); i++) {
        CL_CLEANUP_LOCAL struct local local;

        set_up(&local);
        CHECK(scene_shell("cd %s/layout/blobs/sha256 && f=%s && rm $f && %s", local.scene.dir,
                          local.image.manifest_digest.hex, tricks[i]) == 0);
        CHECK(open_local(&local, CL_LOCAL_DIRECTORY, "layout") == 0);
        CHECK(get_manifest(&local, NULL) < 0);
        CHECK(local.scene.err.msg[0] != '\0');
        cl_local_done(&local.origin);
    }
}

TEST(a_layer_has_the_size_that_the_manifest_says)
{
    for (size_t i = 0; i < CL_ARRAY_SIZE(layouts); i++) {
        CL_CLEANUP_LOCAL struct local local;
        char digest[CL_DIGEST_TEXT_SIZE];
        struct cl_blob_source source = {.fd = -1, .ticks = -1};

        set_up(&local);
        CHECK(open_local(&local, layouts[i].kind, layouts[i].name) == 0);
        const struct cl_manifest_layer layer = {
            .digest = cl_digest_format(&local.layers[0].digest, digest),
            .size_bytes = local.layers[0].bytes.size + 1};
        const struct cl_blob_wanted wanted = {.layer = &layer, .download = -1};
        struct cl_origin *origin = &local.origin.origin;
        CHECK(origin->open(origin, &wanted, &source, &local.scene.err) == -EBADMSG);
        CHECK(source.fd == -1);
        cl_local_done(&local.origin);
    }
}

/* A digest is foreign text: it never becomes a path but as digits. */
TEST(a_digest_leads_nowhere_else)
{
    static const char *const digests[] = {"sha256:../../../../../../etc/passwd", "sha512:00", "",
                                          "sha256:", "/etc/passwd"};

    for (size_t i = 0; i < CL_ARRAY_SIZE(digests); i++) {
        CL_CLEANUP_LOCAL struct local local;
        struct cl_blob_source source = {.fd = -1, .ticks = -1};
        const struct cl_manifest_layer layer = {.digest = digests[i]};
        const struct cl_blob_wanted wanted = {.layer = &layer, .download = -1};

        set_up(&local);
        CHECK(open_local(&local, CL_LOCAL_DIRECTORY, "layout") == 0);
        struct cl_origin *origin = &local.origin.origin;
        CHECK(get_manifest(&local, digests[i]) < 0);
        CHECK(origin->open(origin, &wanted, &source, &local.scene.err) < 0);
        cl_local_done(&local.origin);
    }
}

/* As many layers as an image can have, and documents beside them. */
TEST(all_layers_of_the_largest_image_are_opened)
{
    CL_CLEANUP_LOCAL struct local local;
    char name[128];

    set_up(&local);
    CHECK(open_local(&local, CL_LOCAL_DIRECTORY, "layout") == 0);
    check_documents(&local);
    struct cl_origin *origin = &local.origin.origin;
    for (size_t i = 0; i < LOCAL_MAX_LAYERS; i++) {
        struct cl_digest digest;
        char text[CL_DIGEST_TEXT_SIZE];
        struct cl_blob_source source = {.fd = -1, .ticks = -1};

        cl_digest_of(&i, sizeof(i), &digest);
        (void)snprintf(name, sizeof(name), "layout/blobs/sha256/%s", digest.hex);
        local_write(&local.scene, name, &i, sizeof(i));
        const struct cl_manifest_layer layer = {.digest = cl_digest_format(&digest, text),
                                                .size_bytes = sizeof(i)};
        const struct cl_blob_wanted wanted = {.layer = &layer, .index = i, .download = -1};
        CHECK(origin->open(origin, &wanted, &source, &local.scene.err) == 0);
        CHECK_TEXT(local.scene.err.msg, "");
    }
    cl_local_done(&local.origin);
}

/* --- a helper that was taken over --------------------------------------------------------------
 */

static void offer(const struct cl_flat_shape *shape, const void *record)
{
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(CL_MAX_RECORD_BYTES);
    struct cl_error err = {0};

    CHECK(cl_flat_write(shape, record, &buf, &err) == 0);
    program_offer("record", buf.data, buf.size);
}

TEST(an_index_that_chooses_nothing_is_refused)
{
    CL_CLEANUP_LOCAL struct local local;
    const struct cl_manifest_record nothing = {.set = 0};

    set_up(&local);
    offer(&cl_manifest_shape, &nothing);
    program_fake("cloister-image", "oci-index", "cat $dir/record");
    CHECK(open_local(&local, CL_LOCAL_DIRECTORY, "layout") < 0);
    CHECK_HAS(local.scene.err.msg, "layout");
}

TEST(a_saved_image_that_names_nothing_is_refused)
{
    CL_CLEANUP_LOCAL struct local local;
    const struct cl_saved_record nothing = {.set = 0};

    set_up(&local);
    offer(&cl_saved_shape, &nothing);
    program_fake("cloister-image", "saved", "cat $dir/record");
    CHECK(open_local(&local, CL_LOCAL_DOCKER_ARCHIVE, "saved.tar") < 0);
    CHECK_HAS(local.scene.err.msg, "saved.tar");
}

TEST(members_that_lie_elsewhere_are_not_read)
{
    static const struct cl_archive_member members[] = {
        {"index.json", 1ULL << 40, 100},
        {"index.json", 0, 1ULL << 49},
        {"index.json", (1ULL << 50), 1ULL << 50},
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(members); i++) {
        CL_CLEANUP_LOCAL struct local local;
        const struct cl_archive_record record = {.set = 1, .members = {&members[i], 1}};

        set_up(&local);
        offer(&cl_archive_shape, &record);
        program_fake("cloister-image", "archive", "cat $dir/record");
        CHECK(open_local(&local, CL_LOCAL_OCI_ARCHIVE, "layout.tar") < 0);
        CHECK(local.scene.err.msg[0] != '\0');
    }
}

TEST(whatever_fails_is_told_and_leaves_nothing)
{
#ifndef CL_FAULTS
    SKIP_TEST("needs a build with faults");
#else
    static const struct {
        enum cl_local_kind kind;
        const char *name;
    } rows[] = {{CL_LOCAL_DIRECTORY, "layout"}, {CL_LOCAL_DOCKER_ARCHIVE, "saved.tar"}};

    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        CL_CLEANUP_LOCAL struct local local;

        set_up(&local);
        for (struct faults faults = FAULTS_INIT; faults.struck;) {
            fault_begin(&faults);
            int r = open_local(&local, rows[i].kind, rows[i].name);
            int opened = r == 0;
            if (r == 0)
                r = get_manifest(&local, NULL);
            fault_end(&faults);
            CHECK(r == 0 || local.scene.err.msg[0] != '\0');
            CHECK(faults.struck == (r < 0));
            if (opened)
                cl_local_done(&local.origin);
            CHECK(check_count_fds() == local.before);
            CHECK(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
        }
    }
#endif
}

int main(int argc, char *argv[])
{
    static const struct check_test tests[] = {
        ROW(a_layout_is_read_where_it_lies),
        ROW(what_docker_saved_gets_a_manifest),
        ROW(what_docker_loads_may_have_compressed_layers),
        ROW(layers_that_nobody_reads_are_told_by_name),
        ROW(an_archive_may_be_open_already),
        ROW(its_names_are_whole),
        ROW(what_can_not_be_opened_is_told),
        ROW(a_path_that_names_nothing_is_told),
        ROW(a_tag_that_is_not_there_is_told),
        ROW(a_blob_is_a_file_of_the_layout),
        ROW(a_layer_has_the_size_that_the_manifest_says),
        ROW(a_digest_leads_nowhere_else),
        ROW(all_layers_of_the_largest_image_are_opened),
        ROW(an_index_that_chooses_nothing_is_refused),
        ROW(a_saved_image_that_names_nothing_is_refused),
        ROW(members_that_lie_elsewhere_are_not_read),
        ROW(whatever_fails_is_told_and_leaves_nothing),
    };

    programs_enter(argc, argv);
    int r = check_run(tests, CL_ARRAY_SIZE(tests));
    programs_leave();
    return r;
}
