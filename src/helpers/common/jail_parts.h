/* jail_parts.h - what jail.c is put together from. */
#ifndef CL_HELPERS_COMMON_JAIL_PARTS_H
#define CL_HELPERS_COMMON_JAIL_PARTS_H

#include "base/sys.h"
#include "helpers/common/jail.h"

/* Makes the detached mount TREE the root, with nothing else below it; -errno. */
int cl_jail_change_root(int tree);

/* As root: becomes somebody whom nobody else is (jail_user.c). */
int cl_jail_drop_user(struct cl_error *err);

/* The steps of a TREE: namespaces, identity and root (jail_tree.c). */
int cl_jail_tree_unshare(struct cl_jail *jail, struct cl_error *err);
int cl_jail_tree_take_identity(struct cl_error *err);
int cl_jail_tree_enter(struct cl_jail *jail, struct cl_error *err);
/* What stays of the capabilities: CL_CAP masks as capset(2) has them. */
uint64_t cl_jail_tree_capabilities(void);
/* Lets the ruleset allow all but execution below the root. */
int cl_jail_tree_allow(int ruleset, uint64_t handled, struct cl_error *err);

#endif
