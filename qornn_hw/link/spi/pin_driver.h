// An SPI controller at the pins of a virtual board (sim/virtual_board.cpp).

#pragma once

#include <stdint.h>

#include <algorithm>
#include <deque>

#include "Vlink_harness.h"

class PinDriver {
public:
    PinDriver(Vlink_harness& board, uint64_t hz) : board_(board), hz_(hz) {
        board_.sck = 0;
        board_.cs = 1;
        board_.copi = 0;
    }

    // SCK, at most the highest that the gateware follows: the terminal's rate is the host's, which knows it.
    void set_rate(unsigned rate) { half_ = std::max<uint64_t>((hz_ << 31) / rate, 4ull << 32); }

    // Sets the pins before a cycle; `now` is in cycles, 32.32 fixed point.
    void drive(uint64_t now, std::deque<uint8_t>& to_board) {
        if (now < edge_) return;
        // A half period follows the one before it without a gap, to the fraction of a cycle.
        if (edge_ + (1ull << 32) < now) edge_ = now;
        edge_ += half_;
        if (gap_ != 0) {
            // CS is released for some half periods, then asserted for some before the first edge.
            --gap_;
            board_.cs = gap_ >= GAP / 2;
            if (gap_ == 0) begin(to_board);
        } else if (board_.sck == 0) {
            received_ = received_ << 1 | (board_.cipo & 1);
            board_.sck = 1;
        } else {
            board_.sck = 0;
            if (++bits_ < 8) {
                board_.copi = sending_ >> (7 - bits_) & 1;
            } else {
                take();
                if (--left_ == 0)
                    gap_ = GAP;
                else
                    begin(to_board);
            }
        }
    }

    // Moves the bytes that came; the pins were read at the rising edges.
    void sample(uint64_t, std::deque<uint8_t>& to_host) {
        to_host.insert(to_host.end(), came_.begin(), came_.end());
        came_.clear();
    }

    // Whether no byte is on its way: idle bytes are none.
    bool quiet() const { return !busy_ && !heard_; }

private:
    // Half periods between two transactions, and bytes of one.
    static constexpr int GAP = 8, BURST = 64;
    // The stuffing of qornn_hw/link/spi/stuffing.py.
    static constexpr uint8_t IDLE = 0x7E, ESCAPE = 0x7D, FLIP = 0x20;

    void begin(std::deque<uint8_t>& to_board) {
        if (left_ == 0) left_ = BURST;
        busy_ = !to_board.empty();
        sending_ = IDLE;
        if (busy_) {
            sending_ = to_board.front();
            if (flip_) {
                sending_ ^= FLIP;
                flip_ = false;
            } else if (sending_ == IDLE || sending_ == ESCAPE) {
                sending_ = ESCAPE;
                flip_ = true;
            }
            if (!flip_) to_board.pop_front();
        }
        bits_ = 0;
        board_.copi = sending_ >> 7 & 1;
    }

    void take() {
        heard_ = received_ != IDLE;
        if (received_ == ESCAPE)
            escaped_ = true;
        else if (heard_) {
            came_.push_back(escaped_ ? received_ ^ FLIP : received_);
            escaped_ = false;
        }
    }

    Vlink_harness& board_;
    const uint64_t hz_;
    uint64_t half_ = 4ull << 32, edge_ = 0;
    int gap_ = GAP, left_ = 0, bits_ = 0;
    uint8_t sending_ = 0, received_ = 0;
    bool busy_ = false, heard_ = false, escaped_ = false, flip_ = false;
    std::deque<uint8_t> came_;
};
