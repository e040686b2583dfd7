// A board in a process: the Verilated harness of sim/link_simulation.py, its link at a pseudo-terminal.
//
//     virtual_board HZ RATE TIMEOUT_CYCLES
//
// Prints {"port": path}, then runs until standard input ends. A line on standard input is answered by one
// with the statistics. The clock is made here, and the link's pins are driven by the link's own PinDriver
// (qornn_hw/link/<link>/pin_driver.h): no cycle passes through another language.

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include <deque>
#include <memory>

#include "Vlink_harness.h"
#include "pin_driver.h"
#include "verilated.h"

namespace {

// struct termios2 of the kernel, which no header has beside <termios.h>: the rate as a number.
struct Termios2 {
    unsigned int flags[4];
    unsigned char line;
    unsigned char characters[19];
    unsigned int input_rate, output_rate;
};

// What a pseudo-terminal starts with: nobody has set a rate.
constexpr unsigned UNSET_RATE = 38400;
// Cycles between two looks at the terminal.
constexpr int BATCH = 256;
// Bytes that are taken from it ahead of the line, as the buffer of a USB bridge does.
constexpr size_t AHEAD = 4096;

double seconds() {
    timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec + now.tv_nsec * 1e-9;
}

unsigned rate_of(int fd, unsigned own) {
    Termios2 settings;
    if (ioctl(fd, _IOR('T', 0x2A, Termios2), &settings) != 0) return own;
    return settings.output_rate == 0 || settings.output_rate == UNSET_RATE ? own : settings.output_rate;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 4) return 64;
    const uint64_t hz = strtoull(argv[1], nullptr, 10);
    const unsigned own_rate = strtoul(argv[2], nullptr, 10);
    const uint64_t idle_cycles = strtoull(argv[3], nullptr, 10);

    int master, slave;
    char path[128];
    termios raw{};
    cfmakeraw(&raw);
    cfsetspeed(&raw, B38400);
    // The board's own end of the line stays open, so that one host may follow another.
    if (openpty(&master, &slave, path, &raw, nullptr) != 0) {
        perror("openpty");
        return 71;
    }
    fcntl(master, F_SETFL, O_NONBLOCK);
    printf("{\"port\": \"%s\"}\n", path);
    fflush(stdout);

    auto context = std::make_unique<VerilatedContext>();
    auto board = std::make_unique<Vlink_harness>(context.get());
    board->rst = 0;
    PinDriver driver(*board, hz);
    driver.set_rate(own_rate);

    // Cycles in 32.32 fixed point.
    uint64_t now = 0;
    std::deque<uint8_t> to_board, to_host;

    uint64_t cycles = 0, quiet = 0;
    double busy_seconds = 0, started = seconds();
    bool open = true;
    int looks = 0;

    while (open) {
        const bool sleepy = quiet > idle_cycles && to_host.empty();
        if (sleepy || ++looks == 16) {
            looks = 0;
            if (sleepy) busy_seconds += seconds() - started;
            pollfd wanted[2] = {{STDIN_FILENO, POLLIN, 0}, {master, POLLIN, 0}};
            if (poll(wanted, sleepy ? 2 : 1, sleepy ? -1 : 0) < 0 && errno != EINTR) break;
            if (sleepy) started = seconds(), quiet = 0;
            if (wanted[0].revents) {
                char line[256];
                open = read(STDIN_FILENO, line, sizeof line) > 0;
                const double busy = busy_seconds + seconds() - started;
                printf("{\"cycles\": %llu, \"seconds\": %.6f}\n", (unsigned long long)cycles, busy);
                fflush(stdout);
            }
        }
        if (to_board.size() < AHEAD) {
            uint8_t bytes[1024];
            const ssize_t count = read(master, bytes, sizeof bytes);
            if (count > 0) {
                to_board.insert(to_board.end(), bytes, bytes + count);
                driver.set_rate(rate_of(slave, own_rate));
            }
        }
        while (!to_host.empty()) {
            uint8_t bytes[256];
            size_t count = 0;
            for (auto byte = to_host.begin(); byte != to_host.end() && count < sizeof bytes; ++byte)
                bytes[count++] = *byte;
            const ssize_t gone = write(master, bytes, count);
            if (gone <= 0) break;
            to_host.erase(to_host.begin(), to_host.begin() + gone);
        }
        bool seen = false;
        for (int i = 0; i < BATCH; ++i) {
            driver.drive(now, to_board);
            board->clk = 0;
            board->eval();
            board->clk = 1;
            board->eval();
            ++cycles;
            now += 1ull << 32;
            driver.sample(now, to_host);
            seen |= !driver.quiet();
        }
        quiet = seen ? 0 : quiet + BATCH;
    }
    board->final();
    return 0;
}
