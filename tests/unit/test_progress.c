/* test_progress.c - a pull's progress: lines that fit, on any screen; events and plain lines. */
#include "cmd/cloister/progress_bars.h"
#include "command_scene.h"

#define A "sha256:aaaaaaaaaaaaaaaabbbb"
#define B "sha256:bbbbbbbbbbbbbbbbcccc"

static struct cl_pull_layer some[] = {
    {A, CL_PULL_PRESENT, 5 << 20, 0, 0},
    {B, CL_PULL_RUNNING, 40 << 20, 10 << 20, 30 << 20},
    {A, CL_PULL_RUNNING, 40 << 20, 40 << 20, 90 << 20},
    {A, CL_PULL_WAITING, 40 << 20, 0, 0},
    {B, CL_PULL_QUEUED, 40 << 20, 0, 0},
    {"", CL_PULL_DONE, 1 << 20, 1 << 20, 0},
};
static const struct cl_progress_layer rates[CL_PROGRESS_LAYERS] = {[1] = {.rate_bytes = 9 << 20}};

static const char *drawn(size_t columns, size_t rows, int colour, int downloads)
{
    static char text[SAID_MOST];
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(SAID_MOST - 1);
    const struct cl_progress_screen screen = {columns, rows, colour};
    const struct cl_pull_view view = {some, CL_ARRAY_SIZE(some), downloads};
    int lines = cl_progress_add_layers(&view, rates, &screen, &buf);
    int newlines = 0;

    for (size_t i = 0; i < buf.size; i++)
        newlines += buf.data[i] == '\n';
    CHECK(lines == newlines && lines < (int)rows);
    (void)snprintf(text, sizeof(text), "%s", cl_buf_text(&buf));
    return text;
}

TEST(a_line_for_each_layer)
{
    CHECK_TEXT(drawn(80, 24, 0, 1),
               "aaaaaaaaaaaa  already here\033[K\n"
               "bbbbbbbbbbbb  downloading   [==>           ]  10.0 / 40.0 MiB         9.0 MiB/s"
               "\033[K\n"
               "aaaaaaaaaaaa  unpacking     [==============]  90.0 MiB                         "
               "\033[K\n"
               "aaaaaaaaaaaa  another pull is at it\033[K\n"
               "bbbbbbbbbbbb  waiting\033[K\n"
               "local         done\033[K\n");
    CHECK_HAS(drawn(80, 24, 0, 0), "bbbbbbbbbbbb  unpacking     [==>           ]  10.0 / 40.0 MiB");
    CHECK_HAS(drawn(80, 24, 1, 1), "aaaaaaaaaaaa  \033[32malready here\033[0m\033[K\n");
}

/* What is written takes no more columns than there are but one. */
static void check_width(const char *text, size_t columns)
{
    while (*text != '\0') {
        size_t width = 0;

        for (; *text != '\n'; text++) {
            if (*text == '\033') {
                text += strcspn(text, "mK");
                continue;
            }
            CHECK((unsigned char)*text >= 0x20 && (unsigned char)*text < 0x7f);
            width++;
        }
        CHECK(width < columns);
        text++;
    }
}

TEST(lines_fit_the_screen)
{
    for (size_t columns = 2; columns < 300; columns++) {
        check_width(drawn(columns, 24, 0, 1), columns);
        check_width(drawn(columns, 24, 1, 1), columns);
    }
    CHECK(strchr(drawn(70, 24, 0, 1), '[') != NULL);
    CHECK_HAS(drawn(66, 24, 0, 1), "downloading   10.0 / 40.0 MiB         9.0 MiB/s\033[K");
    CHECK_HAS(drawn(48, 24, 0, 1), "downloading   10.0 / 40.0 MiB\033[K");
    CHECK_HAS(drawn(47, 24, 0, 1), "bbbbbbbbbbbb  downloading    25%\033[K");
    CHECK_HAS(drawn(33, 24, 0, 1), "bbbbbbbbbbbb  downloading    25%\033[K");
    CHECK_HAS(drawn(33, 24, 0, 1), "aaaaaaaaaaaa  unpacking     100%\033[K");
    CHECK_HAS(drawn(32, 24, 0, 1), "bbbbbbbbbbbb   25%\033[K");
    CHECK_HAS(drawn(19, 24, 0, 1), "bbbbbbbbbbbb   25%\033[K");
    CHECK_HAS(drawn(18, 24, 0, 1), "bbbbbbbbbbbb  dow\033[K");
    CHECK_HAS(drawn(10, 24, 0, 1), "bbbbbbbbb\033[K");
}

TEST(few_rows_are_for_those_at_work)
{
    CHECK_TEXT(drawn(60, 6, 0, 1), "bbbbbbbbbbbb  downloading   10.0 / 40.0 MiB\033[K\n"
                                   "aaaaaaaaaaaa  unpacking     90.0 MiB\033[K\n"
                                   "aaaaaaaaaaaa  another pull is at it\033[K\n"
                                   "2 of 6 layers are here\033[K\n");
    CHECK_HAS(drawn(60, 7, 0, 1), "already here");
    CHECK_TEXT(drawn(60, 2, 0, 1), "2 of 6 layers are here\033[K\n");
}

TEST(amounts_have_one_unit)
{
    char text[CL_PROGRESS_PAIR_SIZE];

    CHECK_TEXT(cl_progress_pair(0, 0, text), "0 / 0 B");
    CHECK_TEXT(cl_progress_pair(12, 812, text), "12 / 812 B");
    CHECK_TEXT(cl_progress_pair(100, 2048, text), "0.0 / 2.0 KiB");
    CHECK_TEXT(cl_progress_pair(1536 << 10, 1ULL << 30, text), "0.0 / 1.0 GiB");
    CHECK_TEXT(cl_progress_pair(1023 << 20, 1023 << 20, text), "1023.0 / 1023.0 MiB");
}

TEST(what_is_read_has_a_line)
{
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(1 << 16);

    for (size_t columns = 2; columns < 200; columns++) {
        const struct cl_progress_screen screen = {columns, 24, 0};

        buf.size = 0;
        CHECK(cl_progress_add_reading("a-file-with-a-long-name.tar.gz", 5, 10, &screen, &buf) == 0);
        CHECK(cl_progress_add_reading("x", 5 << 20, 0, &screen, &buf) == 0);
        check_width(cl_buf_text(&buf), columns);
    }
    CHECK_HAS(cl_buf_text(&buf), "reading a-file-with-a-long  [====");
    for (size_t columns = 20; columns < 45; columns += 24) {
        const struct cl_progress_screen screen = {columns, 24, 0};

        CHECK(cl_progress_add_reading("a-file-with-a-long-name.tar.gz", 5, 10, &screen, &buf) == 0);
    }
    CHECK_HAS(cl_buf_text(&buf), "reading a-fil   50%\033[K");
    CHECK_HAS(cl_buf_text(&buf), "reading a-file-with-a-long   50%\033[K");
    CHECK_HAS(cl_buf_text(&buf), "reading x  5.0 MiB");
}

/* --- without a screen --------------------------------------------------------------- */

static struct cl_progress progress;

static int show_all(CL_UNUSED int argc, CL_UNUSED char *argv[])
{
    const struct cl_pull_view view = {some, CL_ARRAY_SIZE(some), 1};
    const struct cl_pulled pulled = {.was_there = argc > 1};

    cl_progress_show(&progress, &view);
    cl_progress_show(&progress, &view); /* at once: nothing has changed */
    some[4].state = CL_PULL_DONE;
    cl_progress_show(&progress, &view);
    some[4].state = CL_PULL_QUEUED;
    cl_progress_read(&progress, 5, 10);
    cl_progress_end(&progress, &pulled);
    return 0;
}

TEST(lines_are_for_what_changes)
{
    cl_progress_init(&progress, "debian:12", CL_PROGRESS_AUTO);
    progress.is_terminal = 0;
    (void)command_capture(show_all, 0, NULL);
    CHECK_TEXT(said.out, "");
    CHECK(strncmp(said.err_out,
                  "aaaaaaaaaaaa: already here (5.0 MiB)\n"
                  "bbbbbbbbbbbb: downloading (40.0 MiB)\n"
                  "aaaaaaaaaaaa: downloading (40.0 MiB)\n"
                  "aaaaaaaaaaaa: waiting for another pull (40.0 MiB)\n"
                  "local: done (1.0 MiB)\n"
                  "bbbbbbbbbbbb: done (40.0 MiB)\n"
                  "debian:12: ready after 0.",
                  strlen("aaaaaaaaaaaa: already here (5.0 MiB)\n")) == 0);
    CHECK_HAS(said.err_out,
              "local: done (1.0 MiB)\nbbbbbbbbbbbb: done (40.0 MiB)\ndebian:12: ready "
              "after ");
    CHECK_HAS(said.err_out, " s (41.0 MiB in 2 layers)\n");
    cl_progress_init(&progress, "debian:12", CL_PROGRESS_NONE);
    (void)command_capture(show_all, 0, NULL);
    CHECK_TEXT(said.err_out, "");
    CHECK_TEXT(said.out, "");
    cl_progress_init(&progress, "debian:12", CL_PROGRESS_AUTO);
    progress.is_terminal = 0;
    (void)command_capture(show_all, 2, NULL);
    CHECK_HAS(said.err_out, "debian:12: up to date\n");
    cl_progress_init(&progress, "debian:12", CL_PROGRESS_AUTO);
    progress.is_terminal = 0;
    progress.only_news = 1;
    (void)command_capture(show_all, 2, NULL);
    CHECK(strstr(said.err_out, "up to date") == NULL);
    progress.before = CL_NAME_NEW;
    (void)command_capture(show_all, 2, NULL);
    CHECK_HAS(said.err_out, "debian:12: named now; the image was here\n");
    progress.before = CL_NAME_ANOTHERS;
    (void)command_capture(show_all, 2, NULL);
    CHECK_HAS(said.err_out, "debian:12: named now, was another image's\n");
}

static int ask_somebody(int argc, CL_UNUSED char *argv[])
{
    for (int i = 0; i < argc; i++)
        cl_progress_asking(&progress, "registry.example:5000 and its mirrors");
    return 0;
}

TEST(who_takes_long_to_answer_is_said_on_a_terminal)
{
    cl_progress_init(&progress, "debian:12", CL_PROGRESS_AUTO);
    progress.is_terminal = 0;
    (void)command_capture(ask_somebody, 1, NULL);
    CHECK_TEXT(said.err_out, "");
    progress.is_terminal = 1;
    (void)command_capture(ask_somebody, 2, NULL);
    CHECK_TEXT(said.err_out, "asking registry.example:5000 and its mirrors ...\033[K\n");
    CHECK(progress.drawn == 1); /* what comes next goes over it */
    cl_progress_init(&progress, "debian:12", CL_PROGRESS_NONE);
    progress.is_terminal = 1;
    (void)command_capture(ask_somebody, 1, NULL);
    CHECK_TEXT(said.err_out, "");
}

TEST(events_are_lines_of_json)
{
    cl_progress_init(&progress, "debian:12", CL_PROGRESS_JSON);
    (void)command_capture(show_all, 0, NULL);
    CHECK_TEXT(said.err_out, "");
    CHECK_HAS(said.out, "{\"event\":\"layer\",\"image\":\"debian:12\",\"layer\":\"" B
                        "\",\"state\":\"running\",\"size_bytes\":41943040,\"read_bytes\":10485760,"
                        "\"unpacked_bytes\":31457280}\n");
    CHECK_HAS(said.out, "\"state\":\"present\"");
    CHECK_HAS(said.out, "\n{\"event\":\"image\",\"image\":\"debian:12\",\"digest\":\"sha256:");
    CHECK_HAS(said.out, "\"was_there\":false}\n");
}

TEST(a_screen_is_drawn_over)
{
    cl_progress_init(&progress, "debian:12", CL_PROGRESS_AUTO);
    progress.is_terminal = 1; /* of no size: 80 columns */
    (void)command_capture(show_all, 0, NULL);
    CHECK(said.err_out[0] == 'a');
    CHECK_HAS(said.err_out,
              "local         done\033[K\n\r\033[6Aaaaaaaaaaaaa  already here\033[K\n");
    CHECK(strstr(strstr(said.err_out, "\033[6A") + 1, "\033[6A") == NULL); /* twice in all */
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(a_line_for_each_layer),
        ROW(lines_fit_the_screen),
        ROW(few_rows_are_for_those_at_work),
        ROW(amounts_have_one_unit),
        ROW(what_is_read_has_a_line),
        ROW(lines_are_for_what_changes),
        ROW(who_takes_long_to_answer_is_said_on_a_terminal),
        ROW(events_are_lines_of_json),
        ROW(a_screen_is_drawn_over),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
