/* socket-copy FILE OUTPUT: one process reads FILE and writes it into a Unix socket, the other reads that and writes OUTPUT.
   It checks, frames and flushes nothing: no program that moves bytes between two processes by a socket costs less. */
#include <err.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BLOCK = 256 << 10 };

static void copy(int from, int to)
{
    static char block[BLOCK];
    ssize_t got;

    while ((got = read(from, block, BLOCK)) > 0) {
        for (ssize_t at = 0, put; at < got; at += put)
            if ((put = write(to, block + at, (size_t)(got - at))) < 0)
                err(1, "write");
    }
    if (got < 0)
        err(1, "read");
}

static int opened(const char *path, int flags)
{
    int file = open(path, flags, 0666);

    if (file < 0)
        err(1, "%s", path);
    return file;
}

int main(int argc, char **argv)
{
    int ends[2], status;
    pid_t sender;

    if (argc != 3)
        errx(2, "usage: socket-copy FILE OUTPUT");
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) < 0 || (sender = fork()) < 0)
        err(1, "start");
    if (sender == 0) {
        close(ends[0]);
        copy(opened(argv[1], O_RDONLY), ends[1]);
        exit(0);
    }
    close(ends[1]);
    copy(ends[0], opened(argv[2], O_WRONLY | O_CREAT | O_TRUNC));
    if (waitpid(sender, &status, 0) < 0)
        err(1, "wait");
    return status != 0;
}
