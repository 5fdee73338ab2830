/* Who a helper of root's becomes: an id of 0x7fff0000 up that is thrown anew each time. Nobody
 * hands those out: sandboxes end below (sandbox/ids.h), so does systemd's foreign range
 * (0x7ffeffff). As "nobody" (65534) it would share its id with daemons that become that, too, and
 * each of them could stop it or end it.
 */
#include <errno.h>
#include <unistd.h>

#include "helpers/common/jail_parts.h"

enum { FIRST_ID = 0x7fff0000, NOBODY = 65534 };

/* SET's id becomes ID, or nobody's in a user namespace that doesn't map that (EINVAL). Where
 * neither is mapped, root is somebody unprivileged already. */
static int become(int (*set)(uint32_t id), uint32_t id)
{
    int r = set(id);

    if (r == -EINVAL)
        r = set(NOBODY);
    return r == -EINVAL ? 0 : r;
}

/* setgroups may be closed in a user namespace (EPERM). */
int cl_jail_drop_user(struct cl_error *err)
{
    uint16_t number = 0;

    if (geteuid() != 0)
        return 0;
    if (cl_sys_getrandom(&number, sizeof(number)) < 0)
        return cl_fail(err, EIO, "getrandom");
    int r = cl_sys_setgroups(0, NULL);
    if (r < 0 && r != -EPERM)
        return cl_fail(err, r, "setgroups");
    r = become(cl_sys_setresgid, FIRST_ID + number);
    if (r == 0)
        r = become(cl_sys_setresuid, FIRST_ID + number);
    return r < 0 ? cl_fail(err, r, "change to an id without privileges") : 0;
}
