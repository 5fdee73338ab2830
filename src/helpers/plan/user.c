#include "helpers/plan/user.h"

#include <errno.h>
#include <string.h>

#include "base/num.h"

enum {
    MAX_NAME = 64,
    MAX_ID_DIGITS = 10,
    PASSWD_FIELDS = 7,
    HOME_FIELD = 5,
    GROUP_FIELDS = 4,
    MAX_FIELDS = 7
};

struct field {
    const char *text;
    size_t size;
};

/* One line's fields; 0 when there are not exactly COUNT. */
static int split_line(const char *line, size_t size, size_t count, struct field ret[MAX_FIELDS])
{
    const char *end = line + size;

    for (size_t i = 0; i < count; i++) {
        size_t left = (size_t)(end - line);
        const char *colon = left == 0 ? NULL : memchr(line, ':', left);

        if ((colon == NULL) != (i + 1 == count))
            return 0;
        const char *stop = colon == NULL ? end : colon;
        ret[i] = (struct field){line, (size_t)(stop - line)};
        line = colon == NULL ? end : colon + 1;
    }
    return 1;
}

static int parse_id(const struct field *field, uint64_t *ret)
{
    char digits[MAX_ID_DIGITS + 1] = "";

    if (field->size == 0 || field->size > MAX_ID_DIGITS)
        return -EINVAL;
    memcpy(digits, field->text, field->size);
    if (strlen(digits) != field->size || cl_parse_u64(digits, ret) < 0 || *ret >= UINT32_MAX)
        return -EINVAL;
    return 0;
}

static int is_text(const struct field *field, const char *text)
{
    return strlen(text) == field->size && memcmp(field->text, text, field->size) == 0;
}

struct match {
    uint64_t id;
    uint64_t gid;      /* passwd only, as */
    struct field home; /* which is any text */
};

/* The first line of FILE whose name is NAME, or whose id is *ID when NAME is NULL. */
static int find_line(const struct cl_buf *file, size_t field_count, const char *name,
                     const uint64_t *id, struct match *ret)
{
    const char *next = cl_buf_text(file);
    const char *end = next + file->size;

    while (next < end) {
        const char *newline = memchr(next, '\n', (size_t)(end - next));
        const char *stop = newline == NULL ? end : newline;
        struct field fields[MAX_FIELDS];
        struct match match = {0};

        if (split_line(next, (size_t)(stop - next), field_count, fields) &&
            parse_id(&fields[2], &match.id) == 0 &&
            (field_count != PASSWD_FIELDS || parse_id(&fields[3], &match.gid) == 0) &&
            (name != NULL ? is_text(&fields[0], name) : match.id == *id)) {
            match.home = fields[field_count == PASSWD_FIELDS ? HOME_FIELD : 0];
            *ret = match;
            return 1;
        }
        next = newline == NULL ? end : newline + 1;
    }
    return 0;
}

/* A number, or -EINVAL when TEXT is a name. */
static int parse_number(const char *text, const char *what, uint64_t *ret, struct cl_error *err)
{
    int r = cl_parse_u64(text, ret);

    if (r == -EINVAL)
        return -EINVAL;
    if (r < 0 || *ret >= UINT32_MAX)
        return cl_refuse(err, ERANGE, "%s %.64s is too large; the most is 4294967294", what, text);
    return 0;
}

/* One that is no path, or would look like something else where it is printed, counts for none. */
static int take_home(const struct field *home, struct cl_arena *arena, struct cl_plan *plan,
                     struct cl_error *err)
{
    if (home->size == 0 || home->text[0] != '/' || home->size > cl_field_info(CL_FIELD_HOME)->max)
        return 0;
    for (size_t i = 0; i < home->size; i++) {
        if ((unsigned char)home->text[i] < 0x20 || home->text[i] == 0x7f)
            return 0;
    }
    plan->home = cl_arena_strndup(arena, home->text, home->size);
    cl_plan_mark(plan, CL_FIELD_HOME);
    return plan->home == NULL ? cl_fail_memory(err) : 0;
}

static int resolve_user(const char *user, const struct cl_buf *passwd, struct cl_arena *arena,
                        struct cl_plan *plan, struct cl_error *err)
{
    struct match match = {0};
    int r = parse_number(user, "user", &plan->uid, err);

    if (r < 0 && r != -EINVAL)
        return r;
    int found = find_line(passwd, PASSWD_FIELDS, r == 0 ? NULL : user, &plan->uid, &match);
    if (!found && r < 0)
        return cl_refuse(err, ENOENT, "no user \"%.64s\" in the image's /etc/passwd", user);
    if (found) {
        plan->uid = match.id;
        plan->gid = match.gid;
        cl_plan_mark(plan, CL_FIELD_GID);
    }
    cl_plan_mark(plan, CL_FIELD_UID);
    return found ? take_home(&match.home, arena, plan, err) : 0;
}

static int resolve_group(const char *name, const struct cl_buf *group, struct cl_plan *plan,
                         struct cl_error *err)
{
    struct match match = {0};
    int r = parse_number(name, "group", &match.id, err);

    if (r < 0 && r != -EINVAL)
        return r;
    if (r < 0 && !find_line(group, GROUP_FIELDS, name, NULL, &match))
        return cl_refuse(err, ENOENT, "no group \"%.64s\" in the image's /etc/group", name);
    plan->gid = match.id;
    cl_plan_mark(plan, CL_FIELD_GID);
    return 0;
}

int cl_user_resolve(const char *name, const struct cl_user_files *files, struct cl_arena *arena,
                    struct cl_plan *ret, struct cl_error *err)
{
    const char *colon = strchr(name, ':');
    size_t size = colon == NULL ? strlen(name) : (size_t)(colon - name);
    char user[MAX_NAME + 1] = "";
    struct cl_plan plan = {0};

    if (size == 0 || size > MAX_NAME ||
        (colon != NULL && (colon[1] == '\0' || strchr(colon + 1, ':') != NULL)))
        return cl_refuse(err, EINVAL, "expected USER or USER:GROUP, got \"%.80s\"", name);
    memcpy(user, name, size); // NOLINT(bugprone-not-null-terminated-result): zeros follow
    int r = resolve_user(user, files->passwd, arena, &plan, err);
    if (r == 0 && colon != NULL)
        r = resolve_group(colon + 1, files->group, &plan, err);
    if (r == 0)
        *ret = plan;
    return r;
}
