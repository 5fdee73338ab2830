/* test_unpacker.c - the processes that make a layer's tree, and who is believed of them: with the
 * built programs, and with scripts in the place of one that was taken over. */
#include "image/jailed.h"
#include "image/unpacker.h"
#include "oci/stream_report.h"
#include "blob_scene.h"
#include "programs_scene.h"

enum { UID_BASE = 0x50000000, MORE = 300000 };

struct unpacking {
    struct scene scene;
    struct blob blob;
    struct cl_unpacker_how how;
    struct cl_unpacker unpacker;
    struct cl_unpacked unpacked;
    int tree;
    int before; /* descriptors that are open */
};

static void set_up(struct unpacking *u, enum cl_compression compression)
{
    char path[SCENE_PATH_SIZE];

    *u = (struct unpacking){.unpacker = CL_UNPACKER_INIT};
    scene_init_bare(&u->scene);
    blob_make(&u->scene, 'a', compression, MORE, &u->blob);
    (void)snprintf(path, sizeof(path), "%s/tree", u->scene.dir);
    CHECK(mkdir(path, 0755) == 0);
    u->tree = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    program_real("cloister-image");
    u->how = (struct cl_unpacker_how){.program = program_path("cloister-image"),
                                      .compression = compression,
                                      .source = u->blob.file,
                                      .ticks = -1,
                                      .size_bytes = u->blob.bytes.size,
                                      .tree = u->tree,
                                      .uid_base = geteuid() == 0 ? UID_BASE : 0,
                                      .max_bytes = 1 << 30,
                                      .max_entries = 1000};
    u->before = check_count_fds();
}

/* No process and no descriptor is left. */
static void clean_up(struct unpacking *u)
{
    cl_unpacker_done(&u->unpacker);
    CHECK(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
    CHECK(check_count_fds() == u->before);
    cl_fd_close(&u->tree);
    blob_done(&u->blob);
    scene_done(&u->scene);
}
#define CL_CLEANUP_UNPACKING CL_CLEANUP(clean_up)

static int start(struct unpacking *u)
{
    u->scene.err = (struct cl_error){0};
    return cl_unpacker_start(&u->how, &u->unpacker, &u->scene.err);
}

/* As a pull does: reaps each that has ended. */
static void wait_for_all(struct unpacking *u)
{
    while (!cl_unpacker_has_ended(&u->unpacker)) {
        struct pollfd polls[CL_STAGE_COUNT];

        for (unsigned int i = 0; i < CL_STAGE_COUNT; i++)
            polls[i] = (struct pollfd){
                .fd = u->unpacker.children[i].pid > 0 ? u->unpacker.children[i].pidfd : -1,
                .events = POLLIN};
        CHECK(poll(polls, CL_STAGE_COUNT, 30000) > 0);
        for (unsigned int i = 0; i < CL_STAGE_COUNT; i++) {
            if (polls[i].revents != 0)
                CHECK(cl_unpacker_reap(&u->unpacker, (enum cl_unpacker_stage)i, &u->scene.err) ==
                      0);
        }
    }
}

static int judge(struct unpacking *u)
{
    u->scene.err = (struct cl_error){0};
    return cl_unpacker_judge(&u->unpacker, &u->unpacked, &u->scene.err);
}

static int unpack(struct unpacking *u)
{
    int r = start(u);

    if (r < 0)
        return r;
    wait_for_all(u);
    return judge(u);
}

static void check_unpacked(struct unpacking *u)
{
    char byte = '\0';
    struct stat status;

    CHECK_TEXT(u->scene.err.msg, "");
    CHECK(cl_digest_equal(&u->unpacked.blob, &u->blob.digest));
    CHECK(cl_digest_equal(&u->unpacked.plain, &u->blob.diff_id));
    CHECK(u->unpacked.blob_bytes == u->blob.bytes.size);
    CHECK(u->unpacked.tree.entries == 2 && u->unpacked.tree.bytes == 1 + MORE);
    CL_CLEANUP_FD int file = openat(u->tree, "file", O_RDONLY | O_CLOEXEC);
    CHECK(file >= 0 && read(file, &byte, 1) == 1 && byte == 'a');
    CHECK(fstat(file, &status) == 0 && status.st_uid == geteuid());
    CHECK(fstatat(u->tree, "more", &status, 0) == 0 && status.st_size == MORE);
}

/* --- what works ---------------------------------------------------------------------------- */

static const enum cl_compression compressions[] = {CL_COMPRESSION_NONE, CL_COMPRESSION_GZIP,
                                                   CL_COMPRESSION_ZSTD};

TEST(each_kind_of_layer_becomes_a_tree)
{
    for (size_t i = 0; i < CL_ARRAY_SIZE(compressions); i++) {
        CL_CLEANUP_UNPACKING struct unpacking u;
        uint64_t blob = 0;
        uint64_t content = 0;

        set_up(&u, compressions[i]);
        CHECK(unpack(&u) == 0);
        check_unpacked(&u);
        cl_unpacker_progress(&u.unpacker, &blob, &content);
        CHECK(blob == u.blob.bytes.size && content == 1 + MORE);
    }
}

/* A WebAssembly module, for instance: nothing is read of it but its digest. */
TEST(a_blob_may_be_the_file)
{
    CL_CLEANUP_UNPACKING struct unpacking u;
    struct stat status;
    char first[8];

    set_up(&u, CL_COMPRESSION_NONE);
    u.how.file = "module.wasm";
    CHECK(unpack(&u) == 0);
    CHECK_TEXT(u.scene.err.msg, "");
    CHECK(cl_digest_equal(&u.unpacked.blob, &u.blob.digest));
    CHECK(cl_digest_equal(&u.unpacked.plain, &u.blob.digest));
    CHECK(u.unpacked.blob_bytes == u.blob.bytes.size && u.unpacked.tree.entries == 1);
    CHECK(u.unpacked.tree.bytes == u.blob.bytes.size);
    CHECK(u.unpacked.tree.disk_bytes >= u.blob.bytes.size);
    CL_CLEANUP_FD int file = openat(u.tree, "module.wasm", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    CHECK(file >= 0 && fstat(file, &status) == 0 && (status.st_mode & 0222) == 0);
    CHECK((size_t)status.st_size == u.blob.bytes.size);
    CHECK(read(file, first, sizeof(first)) == sizeof(first));
    CHECK(memcmp(first, u.blob.bytes.data, sizeof(first)) == 0);
    cl_unpacker_done(&u.unpacker);
    CHECK(start(&u) == -EEXIST); /* what is there isn't written to */
    CHECK_HAS(u.scene.err.msg, "make the layer's file");
}

TEST(a_blob_may_lie_in_another_file)
{
    CL_CLEANUP_UNPACKING struct unpacking u;
    CL_CLEANUP_BUF struct cl_buf around = CL_BUF_INIT(BLOB_CAP);

    set_up(&u, CL_COMPRESSION_GZIP);
    CHECK(cl_buf_add(&around, "0123456789", 10) == 0);
    CHECK(cl_buf_add(&around, u.blob.bytes.data, u.blob.bytes.size) == 0);
    CHECK(cl_buf_add(&around, "0123456789", 10) == 0);
    CL_CLEANUP_FD int file = blob_file(&around);
    u.how.source = file;
    u.how.offset_bytes = 10;
    CHECK(unpack(&u) == 0);
    check_unpacked(&u);
    cl_unpacker_done(&u.unpacker);
    cl_fd_close(&file);
}

static void tick(int ticks, uint64_t bytes)
{
    CHECK(write(ticks, &bytes, sizeof(bytes)) == sizeof(bytes));
}

TEST(a_download_is_unpacked_while_it_comes)
{
    CL_CLEANUP_UNPACKING struct unpacking u;
    int ticks[2];
    uint64_t blob = 0;
    uint64_t content = 0;

    set_up(&u, CL_COMPRESSION_NONE);
    const size_t half = u.blob.bytes.size / 2;
    CL_CLEANUP_FD int file = cl_sys_memfd_create("download", 1);
    CHECK(cl_sys_pipe2(ticks, 0) == 0);
    u.how.source = file;
    u.how.ticks = ticks[0]; /* taken */
    CHECK(start(&u) == 0);
    CHECK(fcntl(ticks[0], F_GETFD) < 0);
    tick(ticks[1], 0);
    CHECK(pwrite(file, u.blob.bytes.data, half, 0) == (ssize_t)half);
    tick(ticks[1], half);
    for (int i = 0; i < 100 && faccessat(u.tree, "file", F_OK, 0) < 0; i++)
        pause_ms(50);
    CHECK(faccessat(u.tree, "file", F_OK, 0) == 0); /* before the other half is there */
    CHECK(!cl_unpacker_has_ended(&u.unpacker));
    CHECK(pwrite(file, u.blob.bytes.data + half, u.blob.bytes.size - half, (off_t)half) > 0);
    tick(ticks[1], u.blob.bytes.size);
    cl_fd_close(&ticks[1]);
    wait_for_all(&u);
    CHECK(judge(&u) == 0);
    check_unpacked(&u);
    cl_unpacker_progress(&u.unpacker, &blob, &content);
    CHECK(blob == u.blob.bytes.size);
    cl_unpacker_done(&u.unpacker);
    cl_fd_close(&file);
}

TEST(a_download_that_ends_early_is_shorter)
{
    CL_CLEANUP_UNPACKING struct unpacking u;
    int ticks[2];

    set_up(&u, CL_COMPRESSION_GZIP);
    CHECK(cl_sys_pipe2(ticks, 0) == 0);
    u.how.ticks = ticks[0];
    CHECK(start(&u) == 0);
    tick(ticks[1], 100);
    cl_fd_close(&ticks[1]);
    wait_for_all(&u);
    int r = judge(&u);
    CHECK(r < 0 || u.unpacked.blob_bytes < u.blob.bytes.size);
}

TEST(what_is_running_is_ended)
{
    CL_CLEANUP_UNPACKING struct unpacking u;
    int ticks[2];

    set_up(&u, CL_COMPRESSION_GZIP);
    CHECK(cl_sys_pipe2(ticks, 0) == 0);
    u.how.ticks = ticks[0];
    CHECK(start(&u) == 0);
    CHECK(!cl_unpacker_has_ended(&u.unpacker));
    cl_unpacker_done(&u.unpacker); /* clean_up looks for what is left */
    CHECK(cl_unpacker_has_ended(&u.unpacker));
    cl_fd_close(&ticks[1]);
}

/* --- what is wrong with the bytes ------------------------------------------------------------ */

TEST(wrong_bytes_have_another_digest)
{
    for (size_t i = 0; i < CL_ARRAY_SIZE(compressions); i++) {
        CL_CLEANUP_UNPACKING struct unpacking u;

        set_up(&u, compressions[i]);
        u.blob.bytes.data[u.blob.bytes.size / 2] ^= 1;
        CHECK(pwrite(u.blob.file, u.blob.bytes.data, u.blob.bytes.size, 0) > 0);
        int r = unpack(&u);
        CHECK(r < 0 || !cl_digest_equal(&u.unpacked.blob, &u.blob.digest));
        CHECK(r == 0 || u.scene.err.msg[0] != '\0');
    }
}

TEST(limits_are_the_unpackers)
{
    CL_CLEANUP_UNPACKING struct unpacking u;

    set_up(&u, CL_COMPRESSION_GZIP);
    u.how.max_bytes = 1000;
    CHECK(unpack(&u) < 0);
    CHECK(u.scene.err.msg[0] != '\0');
    cl_unpacker_done(&u.unpacker);
    u.how.max_bytes = 1 << 30;
    u.how.max_entries = 1;
    CHECK(unpack(&u) < 0);
    CHECK(u.scene.err.msg[0] != '\0');
}

/* --- programs that do what they like -----------------------------------------------------------
 */

TEST(the_complaint_of_the_first_on_the_way_is_told)
{
    static const struct {
        const char *verbs;
        const char *lines;
        int code;
        const char *message;
    } rows[] = {
        {"verify", "echo 'the bytes are bad' >&2; exit 1", EINVAL, "the bytes are bad"},
        {"inflate", "echo 'no gzip' >&2; exit 1", EINVAL, "no gzip"},
        {"verify-stream", "echo 'plain: bad' >&2; exit 1", EINVAL, "plain: bad"},
        {"verify|inflate", "echo \"$1 says\" >&2; exit 1", EINVAL, "verify says"},
        {"inflate|verify-stream", "echo \"$1 says\" >&2; exit 1", EINVAL, "inflate says"},
        {"verify", "kill -9 $$", EIO, "the check of the bytes was ended from outside"},
        {"inflate", "printf 'a\\033[31m\\377b\\nsecond' >&2; exit 3", EINVAL, "a?[31m?b"},
        {"inflate", "head -c 512 /dev/zero | tr '\\0' x >&2; exit 1", EINVAL, "xxxxxxx"},
        {"inflate", "cat >/dev/null; exit 0", EINVAL, ""}, /* an empty archive is none */
        {"verify", "cat $dir/blob; exit 0", EIO, "the check of the bytes came to no end"},
        {"verify", "exit 0", EINVAL, "the gzip stream ends in its middle"},
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        CL_CLEANUP_UNPACKING struct unpacking u;

        set_up(&u, CL_COMPRESSION_GZIP);
        program_offer("blob", u.blob.bytes.data, u.blob.bytes.size);
        program_fake("cloister-image", rows[i].verbs, rows[i].lines);
        int r = unpack(&u);
        if (rows[i].message[0] == '\0') {
            CHECK(r < 0 || !cl_digest_equal(&u.unpacked.plain, &u.blob.diff_id));
            continue;
        }
        CHECK(r == -rows[i].code);
        CHECK_HAS(u.scene.err.msg, rows[i].message);
        CHECK(strchr(u.scene.err.msg, '\n') == NULL);
    }
}

/* What inflate makes is hashed by another: it can't say what it likes. */
TEST(an_inflate_that_was_taken_over_changes_the_diff_id)
{
    CL_CLEANUP_UNPACKING struct unpacking u;
    CL_CLEANUP_BLOB struct blob other;

    set_up(&u, CL_COMPRESSION_GZIP);
    blob_make(&u.scene, 'x', CL_COMPRESSION_NONE, 1, &other);
    u.before++; /* its file */
    program_offer("other.tar", other.bytes.data, other.bytes.size);
    program_fake("cloister-image", "inflate", "cat >/dev/null; cat $dir/other.tar");
    CHECK(unpack(&u) == 0);
    CHECK(cl_digest_equal(&u.unpacked.blob, &u.blob.digest));
    CHECK(cl_digest_equal(&u.unpacked.plain, &other.diff_id));
    CHECK(!cl_digest_equal(&u.unpacked.plain, &u.blob.diff_id));
    u.before--;
}

/* Numbers of who unpacks are for people; there may be any, or none. */
TEST(a_report_of_any_bytes_is_read)
{
    static const char *const writes[] = {
        "head -c 48 /dev/zero | tr '\\0' '\\377' >&3", ":",
        "head -c 1000000 /dev/zero >&3 2>/dev/null", /* it can't grow */
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(writes); i++) {
        CL_CLEANUP_UNPACKING struct unpacking u;
        char lines[256];

        set_up(&u, CL_COMPRESSION_GZIP);
        (void)snprintf(lines, sizeof(lines),
                       "exec unshare --user -- sh -c 'printf r >&4; head -c 1 <&4 >/dev/null; "
                       "cat >/dev/null; %s; exit 0'",
                       writes[i]);
        program_fake("cloister-image", "unpack", "true");
        CL_CLEANUP_FD int script =
            open(program_path("unpack.sh"), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
        CHECK(script >= 0 && write(script, lines, strlen(lines)) > 0);
        cl_fd_close(&script);
        program_fake("cloister-image", "unpack", ". $dir/unpack.sh");
        CHECK(unpack(&u) == 0);
        CHECK_TEXT(u.scene.err.msg, "");
        CHECK(cl_digest_equal(&u.unpacked.plain, &u.blob.diff_id));
    }
}

TEST(what_can_not_be_started_is_told)
{
    CL_CLEANUP_UNPACKING struct unpacking u;
    int ticks[2];

    set_up(&u, CL_COMPRESSION_GZIP);
    CHECK(cl_sys_pipe2(ticks, 0) == 0);
    u.how.ticks = ticks[0];
    u.how.program = "/nowhere/at/all";
    CHECK(start(&u) == -ENOENT);
    CHECK_HAS(u.scene.err.msg, "/nowhere/at/all");
    CHECK(fcntl(ticks[0], F_GETFD) < 0); /* taken all the same */
    cl_fd_close(&ticks[1]);
}

TEST(whatever_fails_of_starting_leaves_nothing)
{
#ifndef CL_FAULTS
    SKIP_TEST("needs a build with faults");
#else
    CL_CLEANUP_UNPACKING struct unpacking u;
    int nth = 0;

    set_up(&u, CL_COMPRESSION_GZIP);
    for (struct faults faults = FAULTS_INIT; faults.struck; nth++) {
        fault_begin(&faults);
        int r = start(&u);
        fault_end(&faults);
        CHECK(r == 0 || u.scene.err.msg[0] != '\0');
        CHECK(r < 0 || !faults.struck || !cl_unpacker_has_ended(&u.unpacker));
        cl_unpacker_done(&u.unpacker);
        CHECK(check_count_fds() == u.before);
        CHECK(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
    }
    CHECK(nth > 30);
    CHECK(unpack(&u) == 0);
    check_unpacked(&u);
#endif
}

/* --- the one that makes files
 * --------------------------------------------------------------------- */

TEST(why_a_host_has_no_user_namespaces_is_told)
{
    CL_CLEANUP_UNPACKING struct unpacking u;

    set_up(&u, CL_COMPRESSION_GZIP);
    program_fake(
        "cloister-image", "unpack",
        "echo 'make a user namespace to unpack in: Operation not permitted; the cure' >&2; "
        "exit 1");
    CHECK(unpack(&u) < 0);
    CHECK_HAS(u.scene.err.msg, "make a user namespace to unpack in");
    CHECK_HAS(u.scene.err.msg, "the cure");
}

/* The core must not write the maps of a namespace that isn't the program's own. */
TEST(who_says_ready_without_a_namespace_gets_nothing)
{
    static const char *const lines[] = {
        "printf r >&4; exec sleep 1000",          /* in the host's namespace */
        "exec 4>&-; exec sleep 1000",             /* closes the channel */
        "printf 'more than one' >&4; sleep 1000", /* a packet that isn't one byte */
        "exit 0",
        "kill -9 $$",
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(lines); i++) {
        CL_CLEANUP_UNPACKING struct unpacking u;

        set_up(&u, CL_COMPRESSION_GZIP);
        program_fake("cloister-image", "unpack", lines[i]);
        CHECK(start(&u) < 0);
        CHECK(u.scene.err.msg[0] != '\0');
    }
}

int main(int argc, char *argv[])
{
    static const struct check_test tests[] = {
        ROW(each_kind_of_layer_becomes_a_tree),
        ROW(a_blob_may_be_the_file),
        ROW(a_blob_may_lie_in_another_file),
        ROW(a_download_is_unpacked_while_it_comes),
        ROW(a_download_that_ends_early_is_shorter),
        ROW(what_is_running_is_ended),
        ROW(wrong_bytes_have_another_digest),
        ROW(limits_are_the_unpackers),
        ROW(the_complaint_of_the_first_on_the_way_is_told),
        ROW(an_inflate_that_was_taken_over_changes_the_diff_id),
        ROW(a_report_of_any_bytes_is_read),
        ROW(what_can_not_be_started_is_told),
        ROW(whatever_fails_of_starting_leaves_nothing),
        ROW(why_a_host_has_no_user_namespaces_is_told),
        ROW(who_says_ready_without_a_namespace_gets_nothing),
    };

    programs_enter(argc, argv);
    int r = check_run(tests, CL_ARRAY_SIZE(tests));
    programs_leave();
    return r;
}
