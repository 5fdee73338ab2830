/* test_pull_downloads.c - layers that come from elsewhere: what an interrupted pull leaves, and
 * what the next one makes of it. */
#include <sys/prctl.h>

#include "image/collect.h"
#include "pull_scene.h"

static void make_remote(struct scene *scene, struct fake *fake)
{
    scene_init(scene);
    fake_make(scene, 'a', 1, CL_COMPRESSION_GZIP, fake);
    fake_is_remote(fake);
}

static const char *download_path(const struct fake *fake)
{
    static char path[SCENE_PATH_SIZE];

    (void)snprintf(path, sizeof(path), "downloads/%s", fake->layers[0].digest.hex);
    return path;
}

static size_t half_of(const struct fake *fake)
{
    return fake->layers[0].bytes.size / 2;
}

static int count_downloads(const struct scene *scene)
{
    return check_count_entries(scene_path(scene, "downloads"));
}

TEST(a_download_is_gone_when_its_layer_is_there)
{
    CL_CLEANUP_SCENE struct scene scene;
    CL_CLEANUP_FAKE struct fake fake;
    struct cl_pulled pulled;

    make_remote(&scene, &fake);
    CHECK(pull(&fake, &pulled) == 0);
    CHECK_TEXT(scene.err.msg, "");
    check_pulled(&fake, NAME);
    check_settled(&scene);
    CHECK(count_downloads(&scene) == 0 && fake.have_bytes == 0);
}

TEST(a_download_that_was_interrupted_goes_on)
{
    CL_CLEANUP_SCENE struct scene scene;
    CL_CLEANUP_FAKE struct fake fake;
    struct cl_pulled pulled;

    make_remote(&scene, &fake);
    fake.cut_bytes = fake.layers[0].bytes.size - half_of(&fake);
    fake.failure = "the connection was reset";
    CHECK(pull(&fake, &pulled) == -ECONNRESET);
    CHECK_HAS(scene.err.msg, "layer sha256:");
    CHECK_HAS(scene.err.msg, "the connection was reset");
    check_settled(&scene);
    CHECK(count_downloads(&scene) == 1 && scene_has(&scene, download_path(&fake)));
    fake.cut_bytes = 0;
    fake.failure = NULL;
    CHECK(pull(&fake, &pulled) == 0);
    CHECK_TEXT(scene.err.msg, "");
    CHECK(fake.opened == 2 && fake.have_bytes == half_of(&fake));
    check_pulled(&fake, NAME);
    CHECK(count_downloads(&scene) == 0);
}

/* What is left may be wrong: then it is asked for once more, from nothing. */
TEST(what_was_left_and_is_wrong_is_asked_for_anew)
{
    for (int whole = 0; whole <= 1; whole++) {
        CL_CLEANUP_SCENE struct scene scene;
        CL_CLEANUP_FAKE struct fake fake;
        CL_CLEANUP_BUF struct cl_buf wrong = CL_BUF_INIT(BLOB_CAP);
        struct cl_pulled pulled;

        make_remote(&scene, &fake);
        CHECK(cl_buf_grow(&wrong, whole ? fake.layers[0].bytes.size : half_of(&fake)) == 0);
        scene_write(&scene, download_path(&fake), wrong.data, wrong.size);
        CHECK(pull(&fake, &pulled) == 0);
        CHECK_TEXT(scene.err.msg, "");
        CHECK(fake.opened == 2 && fake.have_bytes == 0);
        check_pulled(&fake, NAME);
        check_settled(&scene);
        CHECK(count_downloads(&scene) == 0);
    }
}

TEST(what_was_left_and_is_too_long_is_thrown_away)
{
    CL_CLEANUP_SCENE struct scene scene;
    CL_CLEANUP_FAKE struct fake fake;
    CL_CLEANUP_BUF struct cl_buf wrong = CL_BUF_INIT(BLOB_CAP);
    struct cl_pulled pulled;

    make_remote(&scene, &fake);
    CHECK(cl_buf_grow(&wrong, fake.layers[0].bytes.size + 1) == 0);
    scene_write(&scene, download_path(&fake), wrong.data, wrong.size);
    CHECK(pull(&fake, &pulled) == 0);
    CHECK(fake.opened == 1 && fake.have_bytes == 0);
    check_pulled(&fake, NAME);
}

TEST(bytes_that_are_wrong_from_the_start_are_refused_once)
{
    CL_CLEANUP_SCENE struct scene scene;
    CL_CLEANUP_FAKE struct fake fake;
    struct cl_pulled pulled;

    make_remote(&scene, &fake);
    fake.layers[0].bytes.data[half_of(&fake)] ^= 1;
    CHECK(pull(&fake, &pulled) < 0);
    CHECK_HAS(scene.err.msg, "layer sha256:");
    CHECK(fake.opened == 1);
    CHECK(count_downloads(&scene) == 0); /* of no use to anybody */
    check_settled(&scene);
}

/* As `mkfifo` by a user, or anything that isn't a file of ours. */
TEST(what_is_no_file_is_no_download)
{
    static const char *const tricks[] = {"mkdir $f", "ln -s /etc/passwd $f"};

    for (size_t i = 0; i < CL_ARRAY_SIZE(tricks); i++) {
        CL_CLEANUP_SCENE struct scene scene;
        CL_CLEANUP_FAKE struct fake fake;
        struct cl_pulled pulled;

        make_remote(&scene, &fake);
        CHECK(scene_shell("f=%s && %s", scene_path(&scene, "%s", download_path(&fake)),
                          tricks[i]) == 0);
        CHECK(pull(&fake, &pulled) < 0);
        CHECK(scene.err.msg[0] != '\0' && fake.opened == 0);
        check_settled(&scene);
    }
}

TEST(news_that_end_end_the_pull)
{
    CL_CLEANUP_SCENE struct scene scene;
    CL_CLEANUP_FAKE struct fake fake;
    struct cl_pulled pulled;

    make_remote(&scene, &fake);
    fake.hold = 1;
    cl_fd_close(&fake.news[1]);
    CHECK(pull(&fake, &pulled) == -EIO);
    CHECK_TEXT(scene.err.msg, "the news have ended");
    check_settled(&scene);
    CHECK(count_downloads(&scene) == 1);
}

/* Reports of what nobody asked for. */
TEST(news_of_others_are_passed_over)
{
    CL_CLEANUP_SCENE struct scene scene;
    CL_CLEANUP_FAKE struct fake fake;
    struct cl_pulled pulled;

    make_remote(&scene, &fake);
    for (uint64_t id = 100; id < 103; id++) {
        struct cl_download_report report = {.id = id, .ended = 1};

        (void)cl_refuse(&report.error, EIO, "of another");
        CHECK(write(fake.news[1], &report, sizeof(report)) == sizeof(report));
    }
    CHECK(pull(&fake, &pulled) == 0);
    check_pulled(&fake, NAME);
}

/* --- who is killed ------------------------------------------------------------------------------
 */

static struct other *me; /* in the other process: tells that a download is under way */

static void tell(struct fake *fake)
{
    (void)fake;
    other_say(me, 'x');
}

/* In the other process: the pipe is not its parent's. */
static void own_news(struct fake *fake)
{
    cl_fd_close(&fake->news[0]);
    cl_fd_close(&fake->news[1]);
    fake_is_remote(fake);
}

static int count_children(pid_t pid)
{
    char path[64];
    char text[256] = "";
    int count = 0;

    (void)snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)pid, (int)pid);
    CL_CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
    CHECK(fd >= 0 && read(fd, text, sizeof(text) - 1) >= 0);
    for (const char *c = text; *c != '\0'; c++)
        count += *c == ' ';
    return count;
}

static off_t downloaded_bytes(const struct fake *fake)
{
    struct stat st;

    return stat(scene_path(fake->scene, "%s", download_path(fake)), &st) < 0 ? 0 : st.st_size;
}

#define PULL_PROCESSES 4 /* at least; of a pull that is at a layer */

static int is_under_way(const struct fake *fake, const struct other *other)
{
    return count_children(other->pid) >= PULL_PROCESSES &&
           downloaded_bytes(fake) == (off_t)half_of(fake);
}

/* A process that pulls, and is in the middle of its first download. */
static void start_pull(struct fake *fake, struct other *other)
{
    struct cl_pulled pulled;

    if (other_start(other)) {
        me = other;
        own_news(fake);
        fake->hold = 1;
        fake->cut_bytes = fake->layers[0].bytes.size - half_of(fake);
        fake->in_open = tell;
        (void)pull(fake, &pulled);
        other_exit();
    }
    CHECK(other_hear(other) == 'x');
    for (int i = 0; i < 1000 && !is_under_way(fake, other); i++)
        pause_ms(10);
    CHECK(is_under_way(fake, other));
}

/* Kills it and waits for the ends of its processes, which hold what it held as long as they are.
 * Returns how many they were. */
static int kill_pull(struct other *other)
{
    int ends = 0;

    CHECK(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0);
    other_kill(other);
    while (waitpid(-1, NULL, 0) > 0)
        ends++;
    CHECK(prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0) == 0);
    return ends;
}

TEST(a_killed_pull_leaves_what_the_next_one_goes_on_from)
{
    CL_CLEANUP_SCENE struct scene scene;
    CL_CLEANUP_FAKE struct fake fake;
    struct other other;
    struct cl_pulled pulled;

    make_remote(&scene, &fake);
    start_pull(&fake, &other);
    CHECK(check_count_entries(scene_path(&scene, "work")) == 1);
    CHECK(check_count_entries(scene_path(&scene, "leases")) == 1);
    CHECK(kill_pull(&other) > 0);
    CHECK(pull(&fake, &pulled) == 0);
    CHECK_TEXT(scene.err.msg, "");
    CHECK(fake.have_bytes == half_of(&fake));
    check_pulled(&fake, NAME);
    check_settled(&scene); /* also what the killed one left */
    CHECK(count_downloads(&scene) == 0);
}

/* Its children die with it: nobody writes into what is swept, and no process stays. */
TEST(the_processes_of_a_killed_pull_end)
{
    CL_CLEANUP_SCENE struct scene scene;
    CL_CLEANUP_FAKE struct fake fake;
    struct other other;

    make_remote(&scene, &fake);
    start_pull(&fake, &other);
    CHECK(kill_pull(&other) >= PULL_PROCESSES);
}

TEST(a_layer_that_another_pull_is_at_is_waited_for)
{
    CL_CLEANUP_SCENE struct scene scene;
    CL_CLEANUP_FAKE struct fake fake;
    struct other holder;
    struct other waiter;
    struct cl_pulled pulled;

    make_remote(&scene, &fake);
    start_pull(&fake, &holder);
    if (other_start(&waiter)) {
        own_news(&fake);
        CHECK(pull(&fake, &pulled) == 0);
        CHECK_TEXT(scene.err.msg, "");
        CHECK(fake.opened == 1);
        check_pulled(&fake, NAME);
        other_exit();
    }
    CHECK(other_waits_in(&waiter, SYS_fcntl));
    other_kill(&holder); /* then it makes the layer itself */
    other_join(&waiter);
    check_pulled(&fake, NAME);
    check_settled(&scene);
}

/* The blob is one, its chains are two: the second pull has no part of the first's file. */
TEST(two_pulls_do_not_write_into_one_file)
{
    CL_CLEANUP_SCENE struct scene scene;
    CL_CLEANUP_FAKE struct fake fake;
    CL_CLEANUP_FAKE struct fake below;
    struct fake both;
    struct other other;
    struct cl_pulled pulled;

    make_remote(&scene, &fake);
    fake_make(&scene, 'x', 1, CL_COMPRESSION_NONE, &below);
    both = fake;
    both.layers[0] = below.layers[0];
    both.layers[1] = fake.layers[0]; /* on another layer it is another chain */
    both.count = 2;
    local_image_make(both.layers, 2, "", &both.image);
    start_pull(&fake, &other);
    CHECK(pull(&both, &pulled) == 0);
    CHECK_TEXT(scene.err.msg, "");
    CHECK(both.have_bytes == 0); /* not from where the other is */
    check_pulled(&both, NAME);
    CHECK(count_downloads(&scene) == 1); /* the other's */
    other_kill(&other);
    local_image_done(&both.image);
}

/* A collection that removes downloads leaves those that somebody is at. */
TEST(a_collection_leaves_downloads_that_are_under_way)
{
    CL_CLEANUP_SCENE struct scene scene;
    CL_CLEANUP_FAKE struct fake fake;
    const struct cl_collect_how how = {.all = 1,
                                       .downloads = 1,
                                       .budget_bytes = UINT64_MAX,
                                       .uid_base = geteuid() == 0 ? PULL_UID_BASE : 0};
    struct cl_collected collected;
    struct other other;

    make_remote(&scene, &fake);
    start_pull(&fake, &other);
    CHECK(cl_collect(&scene.store, &how, &collected, &scene.err) == 0);
    CHECK(count_downloads(&scene) == 1);
    CHECK(check_count_entries(scene_path(&scene, "work")) == 1);
    CHECK(kill_pull(&other) > 0);
    CHECK(cl_collect(&scene.store, &how, &collected, &scene.err) == 0);
    CHECK_TEXT(scene.err.msg, "");
    CHECK(count_downloads(&scene) == 0);
    check_settled(&scene);
}

int main(int argc, char *argv[])
{
    static const struct check_test tests[] = {
        ROW(a_download_is_gone_when_its_layer_is_there),
        ROW(a_download_that_was_interrupted_goes_on),
        ROW(what_was_left_and_is_wrong_is_asked_for_anew),
        ROW(what_was_left_and_is_too_long_is_thrown_away),
        ROW(bytes_that_are_wrong_from_the_start_are_refused_once),
        ROW(what_is_no_file_is_no_download),
        ROW(news_that_end_end_the_pull),
        ROW(news_of_others_are_passed_over),
        ROW(a_killed_pull_leaves_what_the_next_one_goes_on_from),
        ROW(the_processes_of_a_killed_pull_end),
        ROW(a_layer_that_another_pull_is_at_is_waited_for),
        ROW(two_pulls_do_not_write_into_one_file),
        ROW(a_collection_leaves_downloads_that_are_under_way),
    };

    programs_enter(argc, argv);
    program_real("cloister-image");
    int r = check_run(tests, CL_ARRAY_SIZE(tests));
    programs_leave();
    return r;
}
