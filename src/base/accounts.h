/* accounts.h - the host's accounts, as its files say: passwd(5), subuid(5), subgid(5).
 *
 * The core asks no name service. What stands in the files is root's; a line that isn't of
 * its file's form is passed over.
 */
#ifndef CL_BASE_ACCOUNTS_H
#define CL_BASE_ACCOUNTS_H

#include <sys/types.h>

#include "base/buf.h"
#include "base/error.h"

enum { CL_LOGIN_SIZE = 64 };

/* Reads PATH into BUF; nothing where there is no such file. */
int cl_accounts_read(const char *path, struct cl_buf *buf, struct cl_error *err);

/* The login name of UID: /etc/passwd's, or else what $USER says (a host may keep its users
 * elsewhere), or else "". */
void cl_accounts_login(uid_t uid, char ret[CL_LOGIN_SIZE]);

/* A line of subuid(5), "NAME:FIRST:COUNT"; it points into the file's text. */
struct cl_subids {
    const char *text;
    size_t size;
    size_t name_size;
    uint64_t first;
    uint64_t count; /* 0 as well when the line isn't of the form */
};

/* The next line of *TEXT: 1, or 0 when there is none. */
int cl_accounts_next_subids(const char **text, struct cl_subids *ret);

struct cl_id_range {
    uint64_t first;
    uint64_t count;
};

/* The first range that PATH (/etc/subuid or /etc/subgid; none: empty) gives to UID, by its
 * LOGIN or number. 1, 0 when it gives none, or -errno. */
int cl_accounts_find_subids(const char *path, const char *login, uid_t uid, struct cl_id_range *ret,
                            struct cl_error *err);

/* The first of 65,536 ids in a row that no line of TEXTS has, a subuid(5) and a subgid(5);
 * from 100,000 on, where usermod(8) begins, and below those of root's sandboxes. 0: none
 * was found. */
uint64_t cl_accounts_free_subids(const char *const texts[2]);

enum { CL_SUBIDS_CURE_SIZE = 192 };

/* What root can do to give LOGIN ids of this host that are nobody's: "usermod ...", as a
 * rule. */
void cl_accounts_cure_subids(const char *login, char ret[CL_SUBIDS_CURE_SIZE]);

#endif
