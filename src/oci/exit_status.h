/* exit_status.h - what the statuses say that cloister-image and cloister-plan end with. */
#ifndef CL_OCI_EXIT_STATUS_H
#define CL_OCI_EXIT_STATUS_H

enum cl_helper_status {
    CL_HELPER_DONE = 0,
    CL_HELPER_FAILED = 1,
    CL_HELPER_NO_ROOM = 2, /* of a disk or a quota: what was refused may be good */
};

#endif
