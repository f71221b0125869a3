// QuickFIX's core without a session: how long it takes to split messages into fields, to parse them
// with their dictionary, or to write orders. Usage: core DICTIONARY split|parse|encode FILE ROUNDS;
// FILE holds whole messages, or an order a line (token symbol quantity price side). Says the ns of
// all rounds together.
#include <quickfix/DataDictionary.h>
#include <quickfix/FieldTypes.h>
#include <quickfix/Message.h>
#include <quickfix/fix44/NewOrderSingle.h>
#include <chrono>
#include <fstream>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

struct Order {
    std::string token, symbol;
    double quantity, price;
    char side;
};

static std::vector<std::string> messages_of(const std::string &text) {
    std::vector<std::string> found;
    for (size_t start = 0; start < text.size();) {
        const size_t end = text.find("\x01", text.find("\x01" "10=", start) + 1) + 1;
        found.push_back(text.substr(start, end - start));
        start = end;
    }
    return found;
}

static std::vector<Order> orders_of(const std::string &text) {
    std::vector<Order> found;
    std::istringstream lines(text);
    for (Order one; lines >> one.token >> one.symbol >> one.quantity >> one.price >> one.side;)
        found.push_back(one);
    return found;
}

int main(int, char **words) {
    const FIX::DataDictionary dictionary{std::string(words[1])};
    std::ifstream file(words[3], std::ios::binary);
    const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    const int rounds = std::stoi(words[4]);
    const bool is_encoded = std::string(words[2]) == "encode";
    const bool is_split = std::string(words[2]) == "split";
    const auto messages = messages_of(is_encoded ? "" : text);
    const auto orders = orders_of(is_encoded ? text : "");
    size_t octets = 0;
    const auto begin = std::chrono::steady_clock::now();
    for (int round = 0; round < rounds; ++round) {
        for (const auto &one : messages) {
            if (is_split) {
                const FIX::Message message(one, true);
            } else {
                const FIX::Message message(one, dictionary, true);  // throws when it has a fault
                dictionary.validate(message);
            }
            octets += one.size();
        }
        int number = 0;
        for (const auto &one : orders) {
            FIX44::NewOrderSingle message;
            auto &header = message.getHeader();
            header.setField(FIX::MsgSeqNum(++number));
            header.setField(FIX::SenderCompID("FIRM"));
            header.setField(FIX::SendingTime(FIX::UtcTimeStamp(), 3));
            header.setField(FIX::TargetCompID("VENUE"));
            message.set(FIX::ClOrdID("K7-" + one.token));
            message.set(FIX::OrderQty(one.quantity));
            message.set(FIX::OrdType(FIX::OrdType_LIMIT));
            message.set(FIX::Price(one.price));
            message.set(FIX::Side(one.side));
            message.set(FIX::Symbol(one.symbol));
            message.set(FIX::TimeInForce(FIX::TimeInForce_DAY));
            message.set(FIX::TransactTime(FIX::UtcTimeStamp(), 3));
            octets += message.toString().size();
        }
    }
    const auto end = std::chrono::steady_clock::now();
    std::cout << std::chrono::duration_cast<std::chrono::nanoseconds>(end - begin).count() << " "
              << octets << std::endl;
}
