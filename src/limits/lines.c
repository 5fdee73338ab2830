#include "limits/lines.h"

#include <string.h>

#include "base/num.h"
#include "base/sys.h"

void cl_lines_init(struct cl_lines *ret, int fd)
{
    ret->fd = fd;
    ret->ended = 0;
    ret->start = 0;
    ret->end = 0;
}

/* Reads on behind what the window holds. */
static int fill(struct cl_lines *lines)
{
    ssize_t got;

    if (lines->start > 0) {
        memmove(lines->window, lines->window + lines->start, lines->end - lines->start);
        lines->end -= lines->start;
        lines->start = 0;
    }
    if (lines->end == CL_LINES_WINDOW)
        return -ENAMETOOLONG;
    do
        got = cl_sys_read(lines->fd, lines->window + lines->end, CL_LINES_WINDOW - lines->end);
    while (got == -EINTR);
    if (got < 0)
        return (int)got;
    if (got == 0)
        lines->ended = 1;
    lines->end += (size_t)got;
    return 0;
}

int cl_lines_next(struct cl_lines *lines, const char **ret)
{
    for (;;) {
        char *text = lines->window + lines->start;
        size_t size = lines->end - lines->start;
        char *newline = size > 0 ? memchr(text, '\n', size) : NULL;

        if (newline != NULL) {
            size = (size_t)(newline - text);
            lines->start += size + 1;
        } else if (lines->ended) {
            lines->start = lines->end;
            if (size == 0)
                return 0;
        } else {
            int r = fill(lines);

            if (r < 0)
                return r;
            continue;
        }
        text[size] = '\0'; /* the window has one byte more than is ever read */
        if (strlen(text) != size)
            return -EBADMSG;
        *ret = text;
        return 1;
    }
}

int cl_lines_rewind(int fd)
{
    long r = CL_SYS3(SYS_lseek, fd, 0, SEEK_SET);

    return r < 0 ? (int)r : 0;
}

/* The text behind "KEY" and one SEPARATOR in LINE, or NULL. */
static const char *behind_key(const char *line, const char *key, char separator)
{
    size_t size = strlen(key);

    if (strncmp(line, key, size) != 0 || line[size] != separator)
        return NULL;
    return line + size + 1;
}

int cl_lines_find(int fd, struct cl_keyed *keys, size_t count)
{
    struct cl_lines lines;
    const char *line;
    int found = 0;
    int r;

    cl_lines_init(&lines, fd);
    for (size_t i = 0; i < count; i++)
        keys[i].found = 0;
    while ((r = cl_lines_next(&lines, &line)) > 0) {
        for (size_t i = 0; i < count; i++) {
            const char *value = behind_key(line, keys[i].key, ' ');

            if (value == NULL || keys[i].found || cl_parse_u64(value, &keys[i].value) < 0)
                continue;
            keys[i].found = 1;
            found++;
        }
    }
    return r < 0 ? r : found;
}

/* Adds the KEY=number words of LINE to *sum; how many there were, or -errno. */
static int add_words(const char *line, const char *key, uint64_t *sum)
{
    int found = 0;

    for (const char *word = line; *word != '\0'; word += strspn(word, " ")) {
        const char *value = behind_key(word, key, '=');
        size_t size = strcspn(word, " ");
        char text[24]; /* more than 2^64 has digits */
        uint64_t number;
        int r;

        word += size;
        if (value == NULL)
            continue;
        size = (size_t)(word - value);
        if (size >= sizeof(text))
            return -ERANGE;
        memcpy(text, value, size);
        text[size] = '\0';
        r = cl_parse_u64(text, &number);
        if (r < 0)
            return r == -ERANGE ? -ERANGE : -EBADMSG;
        if (__builtin_add_overflow(*sum, number, sum))
            return -ERANGE;
        found++;
    }
    return found;
}

int cl_lines_sum(int fd, const char *key, uint64_t *ret)
{
    struct cl_lines lines;
    const char *line;
    uint64_t sum = 0;
    int found = 0;
    int r;

    cl_lines_init(&lines, fd);
    while ((r = cl_lines_next(&lines, &line)) > 0) {
        int words = add_words(line, key, &sum);

        if (words < 0)
            return words;
        found |= words > 0;
    }
    if (r < 0)
        return r;
    if (!found)
        return -ENODATA;
    *ret = sum;
    return 0;
}

int cl_lines_number(int fd, uint64_t *ret)
{
    char text[32];
    ssize_t got;

    do
        got = cl_sys_pread(fd, text, sizeof(text) - 1, 0);
    while (got == -EINTR);
    if (got < 0)
        return (int)got;
    if (got > 0 && text[got - 1] == '\n')
        got--;
    text[got] = '\0';
    if (strcmp(text, "max") == 0)
        return -ENODATA;
    if (strlen(text) != (size_t)got || cl_parse_u64(text, ret) < 0)
        return -EBADMSG;
    return 0;
}
