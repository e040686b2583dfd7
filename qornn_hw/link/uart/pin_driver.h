// A UART at the pins of a virtual board (sim/virtual_board.cpp).

#pragma once

#include <stdint.h>

#include <deque>

#include "Vlink_harness.h"

class PinDriver {
public:
    PinDriver(Vlink_harness& board, uint64_t hz) : board_(board), hz_(hz) { board_.rx = 1; }

    void set_rate(unsigned rate) { bit_ = (hz_ << 32) / rate; }

    // Sets the pins before a cycle; `now` is in cycles, 32.32 fixed point.
    void drive(uint64_t now, std::deque<uint8_t>& to_board) {
        // A byte follows the one before it without a gap, to the fraction of a cycle.
        if (bits_to_send_ != 0 && now >= send_edge_) {
            sending_ >>= 1;
            if (--bits_to_send_ != 0) {
                board_.rx = sending_ & 1;
                send_edge_ += bit_;
                return;
            }
        }
        if (bits_to_send_ == 0 && !to_board.empty()) {
            if (send_edge_ + (1ull << 32) < now) send_edge_ = now;
            sending_ = to_board.front() << 1 | 1 << 9;
            to_board.pop_front();
            bits_to_send_ = 10;
            board_.rx = 0;
            send_edge_ += bit_;
        }
    }

    // Reads the pins after a cycle.
    void sample(uint64_t now, std::deque<uint8_t>& to_host) {
        const bool high = board_.tx & 1;
        if (bits_to_receive_ == 0) {
            if (was_high_ && !high) {
                bits_to_receive_ = 9;
                received_ = 0;
                sample_at_ = now + bit_ + bit_ / 2;
            }
        } else if (now >= sample_at_) {
            received_ = received_ >> 1 | high << 8;
            sample_at_ += bit_;
            // A byte whose stop bit is low reads as zero, as behind a kernel's driver.
            if (--bits_to_receive_ == 0) to_host.push_back(high ? received_ & 0xFF : 0);
        }
        was_high_ = high;
    }

    // Whether no byte is on its way.
    bool quiet() const { return bits_to_send_ == 0 && bits_to_receive_ == 0; }

private:
    Vlink_harness& board_;
    const uint64_t hz_;
    uint64_t bit_ = 0;
    // Start bit, data and stop bit that are on the line, and when the present one ends.
    unsigned sending_ = 0;
    int bits_to_send_ = 0;
    uint64_t send_edge_ = 0;
    unsigned received_ = 0;
    int bits_to_receive_ = 0;
    uint64_t sample_at_ = 0;
    bool was_high_ = true;
};
