/* calls.h - the functions of the table, each where its noun is. */
#ifndef CL_WASI_CALLS_H
#define CL_WASI_CALLS_H

#include "wasi/state.h"

/* args.c */
CL_WASI_CALL(args_get);
CL_WASI_CALL(args_sizes_get);
CL_WASI_CALL(environ_get);
CL_WASI_CALL(environ_sizes_get);

/* clock.c */
CL_WASI_CALL(clock_res_get);
CL_WASI_CALL(clock_time_get);

/* descriptors.c */
CL_WASI_CALL(fd_close);
CL_WASI_CALL(fd_fdstat_get);
CL_WASI_CALL(fd_fdstat_set_flags);
CL_WASI_CALL(fd_fdstat_set_rights);
CL_WASI_CALL(fd_prestat_get);
CL_WASI_CALL(fd_prestat_dir_name);
CL_WASI_CALL(fd_renumber);

/* directory.c */
CL_WASI_CALL(fd_readdir);

/* file.c */
CL_WASI_CALL(fd_advise);
CL_WASI_CALL(fd_allocate);
CL_WASI_CALL(fd_datasync);
CL_WASI_CALL(fd_seek);
CL_WASI_CALL(fd_sync);
CL_WASI_CALL(fd_tell);

/* io.c */
CL_WASI_CALL(fd_pread);
CL_WASI_CALL(fd_pwrite);
CL_WASI_CALL(fd_read);
CL_WASI_CALL(fd_write);

/* open.c */
CL_WASI_CALL(path_open);

/* poll.c */
CL_WASI_CALL(poll_oneoff);

/* process.c */
CL_WASI_CALL(proc_exit);
CL_WASI_CALL(proc_raise);
CL_WASI_CALL(sched_yield);

/* random.c */
CL_WASI_CALL(random_get);

/* socket.c */
CL_WASI_CALL(sock_accept);
CL_WASI_CALL(sock_recv);
CL_WASI_CALL(sock_send);
CL_WASI_CALL(sock_shutdown);

/* stat.c */
CL_WASI_CALL(fd_filestat_get);
CL_WASI_CALL(fd_filestat_set_size);
CL_WASI_CALL(fd_filestat_set_times);
CL_WASI_CALL(path_filestat_get);
CL_WASI_CALL(path_filestat_set_times);

/* tree.c */
CL_WASI_CALL(path_create_directory);
CL_WASI_CALL(path_link);
CL_WASI_CALL(path_readlink);
CL_WASI_CALL(path_remove_directory);
CL_WASI_CALL(path_rename);
CL_WASI_CALL(path_symlink);
CL_WASI_CALL(path_unlink_file);

#endif
