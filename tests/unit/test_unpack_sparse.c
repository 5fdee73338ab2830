/* test_unpack_sparse.c - files with holes, in each form that tars have for them, and what
 * GNU tar itself writes. */
#include <sys/wait.h>

#include "unpack_scene.h"

enum { PIECE = 512, HOLE = 1 << 20, STORED = 1024, SIZE = 3 << 20 };

/* "AA..", a hole, "BB..", a hole. */
static void check_file(const struct scene *scene, const char *name)
{
    CL_CLEANUP_FD int fd = openat(scene->root, name, O_RDONLY | O_CLOEXEC);
    const struct stat status = scene_stat(scene, name);
    char text[PIECE];

    CHECK(status.st_size == SIZE);
    CHECK(status.st_blocks * 512 < HOLE / 4);
    CHECK(pread(fd, text, PIECE, 0) == PIECE && text[0] == 'A' && text[PIECE - 1] == 'A');
    CHECK(pread(fd, text, PIECE, PIECE) == PIECE && text[0] == '\0');
    CHECK(pread(fd, text, PIECE, HOLE) == PIECE && text[0] == 'B' && text[PIECE - 1] == 'B');
    CHECK(pread(fd, text, PIECE, SIZE - PIECE) == PIECE && text[PIECE - 1] == '\0');
}

static const char *stored(void)
{
    static char text[STORED];

    memset(text, 'A', PIECE);
    memset(text + PIECE, 'B', PIECE);
    return text;
}

/* GNU's first form. The map is two rows, and one in a block of its own that ends the file. */
static void put_gnu(struct cl_buf *tar, const char *name)
{
    char tail[167] = {0};
    char more[512] = {0};

    tar_text(tail + 41, "00000000000");
    tar_text(tail + 53, "00000001000");
    tar_text(tail + 65, "00004000000");
    tar_text(tail + 77, "00000001000");
    tar_text(tail + 89, "00005000000");
    tar_text(tail + 101, "00000000000");
    tar_text(tail + 113, "00006000000");
    tar_text(tail + 125, "00000000000");
    tail[137] = 1; /* goes on */
    tar_text(tail + 138, "00014000000");
    tar_text(more, "00014000000");
    tar_text(more + 12, "00000000000");
    tar_header(tar,
               &(const struct tar_item){.name = name, .type = 'S', .magic = TAR_GNU, .tail = tail},
               STORED);
    tar_add(tar, more, sizeof(more));
    tar_add(tar, stored(), STORED);
}

static void put_pax(struct cl_buf *tar, const char *name, const char *form)
{
    CL_CLEANUP_BUF struct cl_buf body = TAR_SCENE_INIT;
    char lines[PIECE + STORED] = "3\n0\n512\n1048576\n512\n3145728\n0\n";
    const int is_lines = strcmp(form, "1.0") == 0;

    tar_record(&body, is_lines ? "GNU.sparse.realsize" : "GNU.sparse.size", "3145728");
    if (strcmp(form, "0.0") == 0) {
        tar_record(&body, "GNU.sparse.numblocks", "3");
        tar_record(&body, "GNU.sparse.offset", "0");
        tar_record(&body, "GNU.sparse.numbytes", "512");
        tar_record(&body, "GNU.sparse.offset", "1048576");
        tar_record(&body, "GNU.sparse.numbytes", "512");
        tar_record(&body, "GNU.sparse.offset", "3145728");
        tar_record(&body, "GNU.sparse.numbytes", "0");
    } else if (strcmp(form, "0.1") == 0) {
        tar_record(&body, "GNU.sparse.name", name);
        tar_record(&body, "GNU.sparse.map", "0,512,1048576,512,3145728,0");
    } else {
        tar_record(&body, "GNU.sparse.name", name);
        tar_record(&body, "GNU.sparse.major", "1");
        tar_record(&body, "GNU.sparse.minor", "0");
    }
    tar_pax(tar, &body);
    memcpy(lines + PIECE, stored(), STORED);
    TAR(tar, .name = strcmp(form, "0.0") == 0 ? name : "GNUSparseFile.1/x",
        .content = is_lines ? lines : stored(), .size = is_lines ? sizeof(lines) : STORED);
}

TEST(every_form_makes_the_same_file)
{
    NEEDS_ROOM();
    CLEANUP_SCENE struct scene scene = scene_make();
    CL_CLEANUP_BUF struct cl_buf tar = TAR_SCENE_INIT;

    put_gnu(&tar, "gnu");
    put_pax(&tar, "0.0", "0.0");
    put_pax(&tar, "0.1", "0.1");
    put_pax(&tar, "1.0", "1.0");
    tar_file(&tar, "after", "x"); /* nothing of them was left over */
    scene_ok(&scene, &tar);
    check_file(&scene, "gnu");
    check_file(&scene, "0.0");
    check_file(&scene, "0.1");
    check_file(&scene, "1.0");
    scene_holds(&scene, "after", "x");
    CHECK(check_count_entries(scene.path) == 5);
    CHECK(scene.report.bytes == 4 * (uint64_t)SIZE + 1);
    CHECK(scene.report.disk_bytes < HOLE);
}

TEST(a_file_may_be_all_hole)
{
    static const char lines[512] = "0\n";

    NEEDS_ROOM();
    CLEANUP_SCENE struct scene scene = scene_make();
    CL_CLEANUP_BUF struct cl_buf tar = TAR_SCENE_INIT;
    CL_CLEANUP_BUF struct cl_buf body = TAR_SCENE_INIT;

    tar_record(&body, "GNU.sparse.size", "100000000");
    tar_record(&body, "GNU.sparse.map", "");
    tar_pax(&tar, &body);
    tar_file(&tar, "map", "");
    tar_record(&body, "GNU.sparse.realsize", "100000000");
    tar_record(&body, "GNU.sparse.major", "1");
    tar_record(&body, "GNU.sparse.minor", "0");
    tar_pax(&tar, &body);
    TAR(&tar, .name = "lines", .content = lines, .size = sizeof(lines));
    scene_ok(&scene, &tar);
    CHECK(scene_stat(&scene, "map").st_size == 100000000);
    CHECK(scene_stat(&scene, "map").st_blocks == 0);
    CHECK(scene_stat(&scene, "lines").st_size == 100000000);
}

/* A map and the size of what is stored have to say the same. */
TEST(maps_that_lie_are_refused)
{
    static const struct {
        const char *size, *map, *needle;
        long stored;
    } rows[] = {
        {"10", "0,5,5,5", NULL, 10},
        {"10", "0,5,5,6", "a sparse map that doesn't fit its file", 11},
        {"10", "0,5,5,5", "a sparse map that doesn't fit its file", 9},
        {"10", "0,5,5,5", "a sparse map that doesn't fit its file", 11},
        {"10", "", "a sparse map that doesn't fit its file", 1},
        {"9", "0,5,5,5", "a sparse map that doesn't fit its file", 10},
        {"10", "5,5,0,5", "a sparse map that is none", 10},
        {"10", "0,6,5,4", "a sparse map that is none", 10},
        {"10", "0", "a sparse map that is none", 0},
        {"10", "0,5,", "a sparse map that is none", 5},
        {"10", "0,5,5", "a sparse map that is none", 5},
        {"10", ",5", "a sparse map that is none", 5},
        {"10", "0, 5", "a sparse map that is none", 5},
        {"10", "-1,5", "a sparse map that is none", 5},
        {"10", "18446744073709551615,1", "a sparse map that is none", 1},
        {"10", "9223372036854775807,1", "a sparse map that is none", 1},
        {"10", "0,18446744073709551616", "a sparse map that is none", 1},
        {NULL, "0,5", "a sparse file without a size", 5},
    };

    NEEDS_ROOM();
    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        CLEANUP_SCENE struct scene scene = scene_make();
        CL_CLEANUP_BUF struct cl_buf tar = TAR_SCENE_INIT;
        CL_CLEANUP_BUF struct cl_buf body = TAR_SCENE_INIT;

        if (rows[i].size != NULL)
            tar_record(&body, "GNU.sparse.size", rows[i].size);
        tar_record(&body, "GNU.sparse.map", rows[i].map);
        tar_pax(&tar, &body);
        TAR(&tar, .name = "file", .content = rows[i].stored > 0 ? "0123456789abcdef" : NULL,
            .size = (size_t)rows[i].stored);
        if (rows[i].needle == NULL)
            scene_ok(&scene, &tar);
        else
            scene_refused(&scene, &tar, EINVAL, rows[i].needle);
    }
}

TEST(lines_that_lie_are_refused)
{
    static const struct {
        const char *lines, *needle;
        size_t size; /* with the map */
    } rows[] = {
        {"1\n0\n512\n", NULL, 1024},
        {"1\n0\n512\n", "a sparse map that doesn't fit its file", 512},
        {"1\n0\n512\n", "a sparse map that doesn't fit its file", 1536},
        {"2\n0\n512\n", "a sparse map that is none", 1024},
        {"\n0\n512\n", "a sparse map that is none", 1024},
        {"1\n\n512\n", "a sparse map that is none", 1024},
        {"1\nx\n512\n", "a sparse map that is none", 1024},
        {"99999999999999999999\n", "a sparse map that is none", 1024},
        {"18446744073709551615\n0\n512\n", "a sparse map that is none", 1024},
        {"1\n000000000000000000000000000000000\n512\n", "a sparse map that is none", 1024},
        {"", "a sparse map that is none", 100},
    };

    NEEDS_ROOM();
    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        CLEANUP_SCENE struct scene scene = scene_make();
        CL_CLEANUP_BUF struct cl_buf tar = TAR_SCENE_INIT;
        CL_CLEANUP_BUF struct cl_buf body = TAR_SCENE_INIT;
        char content[2048] = {0};

        memcpy(content, rows[i].lines, strlen(rows[i].lines));
        tar_record(&body, "GNU.sparse.realsize", "512");
        tar_record(&body, "GNU.sparse.major", "1");
        tar_record(&body, "GNU.sparse.minor", "0");
        tar_pax(&tar, &body);
        TAR(&tar, .name = "file", .content = content, .size = rows[i].size);
        if (rows[i].needle == NULL)
            scene_ok(&scene, &tar);
        else
            scene_refused(&scene, &tar, EINVAL, rows[i].needle);
    }
}

TEST(forms_that_are_not_known_are_refused)
{
    NEEDS_ROOM();
    CLEANUP_SCENE struct scene scene = scene_make();
    CL_CLEANUP_BUF struct cl_buf tar = TAR_SCENE_INIT;
    CL_CLEANUP_BUF struct cl_buf body = TAR_SCENE_INIT;

    tar_record(&body, "GNU.sparse.realsize", "512");
    tar_record(&body, "GNU.sparse.major", "2");
    tar_pax(&tar, &body);
    tar_file(&tar, "file", "x");
    scene_refused(&scene, &tar, EINVAL, "a sparse file of a form that is not known");
    tar_pax_one(&tar, "GNU.sparse.offset", "1", 1);
    tar_file(&tar, "file", "x");
    scene_refused(&scene, &tar, EINVAL, "a sparse map that is none");
    tar_pax_one(&tar, "GNU.sparse.numbytes", "1", 1);
    tar_file(&tar, "file", "x");
    scene_refused(&scene, &tar, EINVAL, "a sparse map that is none");
    CHECK(!scene_has(&scene, "file"));
}

TEST(maps_of_gnu_that_lie_are_refused)
{
    static const struct {
        const char *offset, *size, *real_size;
        const char *needle;
    } rows[] = {
        {"00000000000", "00000000001", "00000000001", NULL},
        {"0000000000x", "00000000001", "00000000001", "a sparse map that is none"},
        {"00000000000", "0000000000x", "00000000001", "a sparse map that is none"},
        {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", "00000000001", "00000000001",
         "a sparse map that is none"},
        {"00000000000", "00000000001", "0000000000x", "a size that is none"},
        {"00000000000", "00000000001", "00000000000", "a sparse map that doesn't fit its file"},
        {"00000000000", "00000000002", "00000000002", "a sparse map that doesn't fit its file"},
        {"00000000001", "00000000001", "00000000001", "a sparse map that doesn't fit its file"},
    };

    NEEDS_ROOM();
    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        CLEANUP_SCENE struct scene scene = scene_make();
        CL_CLEANUP_BUF struct cl_buf tar = TAR_SCENE_INIT;
        char tail[167] = {0};

        tar_text(tail + 41, rows[i].offset);
        tar_text(tail + 53, rows[i].size);
        tar_text(tail + 138, rows[i].real_size);
        TAR(&tar, .name = "file", .type = 'S', .content = "x", .magic = TAR_GNU, .tail = tail);
        if (rows[i].needle == NULL)
            scene_ok(&scene, &tar);
        else
            scene_refused(&scene, &tar, EINVAL, rows[i].needle);
    }
}

/* Between the header and what it says of the file. */
TEST(maps_that_are_cut_off_are_told)
{
    NEEDS_ROOM();
    CLEANUP_SCENE struct scene scene = scene_make();
    CL_CLEANUP_BUF struct cl_buf tar = TAR_SCENE_INIT;

    put_gnu(&tar, "gnu");
    tar.size = 512;
    CHECK(scene_unpack_raw(&scene, &tar) == -ENODATA);
    tar.size = 0;
    put_pax(&tar, "lines", "1.0");
    tar.size -= STORED + PIECE;
    CHECK(scene_unpack_raw(&scene, &tar) == -ENODATA);
}

/* A row is 4 bytes of a stream that compresses well, and 16 of memory. */
TEST(maps_have_a_bound)
{
    enum { ROWS = (1 << 16) + 1 };
    NEEDS_ROOM();
    CLEANUP_SCENE struct scene scene = scene_make();
    CL_CLEANUP_BUF struct cl_buf tar = TAR_SCENE_INIT;
    CL_CLEANUP_BUF struct cl_buf body = TAR_SCENE_INIT;
    CL_CLEANUP_BUF struct cl_buf text = TAR_SCENE_INIT;
    char more[512] = {0};
    char tail[167] = {0};

    for (int i = 0; i < ROWS; i++)
        CHECK(cl_buf_add_str(&text, i == 0 ? "9,0" : ",9,0") == 0);
    tar_record(&body, "GNU.sparse.size", "9");
    tar_record_bytes(&body, "GNU.sparse.map", text.data, text.size);
    tar_pax(&tar, &body);
    tar_file(&tar, "file", "");
    scene_refused(&scene, &tar, EINVAL, "a sparse file of more than 65536 pieces");
    tail[137] = 1;
    tar_text(tail + 138, "00014000000");
    more[504] = 1; /* no row, and goes on */
    tar_header(&tar,
               &(const struct tar_item){.name = "f", .type = 'S', .magic = TAR_GNU, .tail = tail},
               0);
    for (int i = 0; i < 4000; i++)
        tar_add(&tar, more, sizeof(more));
    scene_refused(&scene, &tar, EINVAL, "a sparse map that is none");
}

/* --- GNU tar ------------------------------------------------------------------------------------
 */

/* Runs PROGRAM with its output in a file of memory. */
static int output_of(char *const argv[])
{
    int fd = cl_sys_memfd_create("tar", 1 /* MFD_CLOEXEC */);
    int status = -1;

    (void)fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        (void)dup2(fd, STDOUT_FILENO);
        (void)execvp(argv[0], argv);
        _exit(127);
    }
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    CHECK(lseek(fd, 0, SEEK_SET) == 0);
    return fd;
}

static void make_source(const struct scene *scene)
{
    const struct timespec times[2] = {{.tv_sec = 1}, {.tv_sec = 1000000000, .tv_nsec = 500}};
    char name[256];

    memset(name, 'n', sizeof(name));
    name[140] = '\0';
    CHECK(mkdirat(scene->root, "src", 0755) == 0 && mkdirat(scene->root, "src/d", 0700) == 0);
    CL_CLEANUP_FD int dir = openat(scene->root, "src/d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CL_CLEANUP_FD int file = openat(dir, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0640);
    CL_CLEANUP_FD int hole = openat(dir, "hole", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    CHECK(write(file, "long", 4) == 4 && futimens(file, times) == 0);
    for (int i = 0; i < 40; i++) /* more than a header has room for */
        CHECK(pwrite(hole, "data", 4, (off_t)i << 20) == 4);
    CHECK(ftruncate(hole, 50 << 20) == 0);
    CHECK(symlinkat(name, dir, "sym") == 0 && linkat(dir, name, dir, "hard", 0) == 0);
    CHECK(mkfifoat(dir, "fifo", 0600) == 0 && futimens(dir, times) == 0);
}

TEST(what_gnu_tar_writes_is_read)
{
    static const char *const rows[][2] = {
        {"--format=gnu", NULL},
        {"--format=oldgnu", NULL},
        {"--format=posix", NULL},
        {"--format=posix", "--sparse-version=0.0"},
        {"--format=posix", "--sparse-version=0.1"},
        {"--format=posix", "--sparse-version=1.0"},
    };

    NEEDS_ROOM();
    CLEANUP_SCENE struct scene source = scene_make();
    char directory[96];

    make_source(&source);
    (void)snprintf(directory, sizeof(directory), "%s/src", source.path);
    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        CLEANUP_SCENE struct scene scene = scene_make();
        char *argv[] = {cl_unconst("tar"),
                        cl_unconst("-c"),
                        cl_unconst("-S"),
                        cl_unconst("-C"),
                        directory,
                        cl_unconst(rows[i][0]),
                        cl_unconst(rows[i][1] != NULL ? rows[i][1] : "."),
                        cl_unconst(rows[i][1] != NULL ? "." : NULL),
                        NULL};
        CL_CLEANUP_FD int stream = output_of(argv);
        const struct cl_unpack unpack = {.stream = stream,
                                         .root = scene.root,
                                         .report = -1,
                                         .max_bytes = 1 << 30,
                                         .max_entries = 100};
        char name[256];

        CHECK(cl_unpack_run(&unpack, &scene.report, &scene.err) == 0);
        memcpy(name, "d/", 2);
        memset(name + 2, 'n', 140);
        name[142] = '\0';
        scene_holds(&scene, name, "long");
        CHECK(scene_mode(&scene, name) == 0640 && scene_mode(&scene, "d") == 0700);
        CHECK(scene_stat(&scene, name).st_nlink == 2 && scene_type(&scene, "d/fifo") == S_IFIFO);
        CHECK(scene_stat(&scene, name).st_mtim.tv_sec == 1000000000);
        CHECK(scene_stat(&scene, "d").st_mtim.tv_sec == 1000000000);
        scene_links(&scene, "d/sym", name + 2);
        const struct stat hole = scene_stat(&scene, "d/hole");
        CHECK(hole.st_size == 50 << 20 && hole.st_blocks * 512 < 1 << 20);
        CL_CLEANUP_FD int fd = openat(scene.root, "d/hole", O_RDONLY | O_CLOEXEC);
        for (int k = 0; k < 40; k++) {
            char text[8] = "";

            CHECK(pread(fd, text, 5, (off_t)k << 20) == 5 && strcmp(text, "data") == 0);
        }
    }
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(every_form_makes_the_same_file),
        ROW(a_file_may_be_all_hole),
        ROW(maps_that_lie_are_refused),
        ROW(lines_that_lie_are_refused),
        ROW(forms_that_are_not_known_are_refused),
        ROW(maps_of_gnu_that_lie_are_refused),
        ROW(maps_that_are_cut_off_are_told),
        ROW(maps_have_a_bound),
        ROW(what_gnu_tar_writes_is_read),
    };

    scene_enter();
    return check_run(tests, CL_ARRAY_SIZE(tests));
}
