// The process that holds a pod's namespaces: waits, buries the pod's orphans, and ends when it is told to.
#include <signal.h>
#include <stddef.h>
#include <sys/wait.h>
#include <unistd.h>

static void bury(int signal) {
    (void)signal;
    while (waitpid(-1, NULL, WNOHANG) > 0)
        ;
}

static void end(int signal) {
    (void)signal;
    _exit(0);
}

int main(void) {
    const struct sigaction on_child = {.sa_handler = bury, .sa_flags = SA_NOCLDSTOP}, on_end = {.sa_handler = end};
    sigaction(SIGCHLD, &on_child, NULL);
    sigaction(SIGINT, &on_end, NULL);
    sigaction(SIGTERM, &on_end, NULL);
    for (;;)
        pause();
}
