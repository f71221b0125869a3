// A QuickFIX acceptor or initiator for tests and benches: does what our acceptance server does, or
// sends orders and says what came back. Usage: peer SETTINGS acceptor | peer SETTINGS initiator COUNT
#include <quickfix/Application.h>
#include <quickfix/FileStore.h>
#include <quickfix/Message.h>
#include <quickfix/Session.h>
#include <quickfix/SessionSettings.h>
#include <quickfix/SocketAcceptor.h>
#include <quickfix/SocketInitiator.h>
#include <iostream>
#include <iterator>
#include <set>
#include <string>
#include <utility>

class Echo : public FIX::NullApplication {
  public:
    explicit Echo(int count) : left(count) {}

    void onLogon(const FIX::SessionID &id) override {
        std::cout << "logon" << std::endl;
        for (; left > 0; --left) {
            FIX::Message order;
            order.getHeader().setField(35, "D");
            order.setField(11, "Q" + std::to_string(left));
            order.setField(21, "1");
            order.setField(40, "1");
            order.setField(54, "1");
            order.setField(55, "INTC");
            order.setField(FIX::TransactTime());
            FIX::Session::sendToTarget(order, id);
        }
    }

    void onLogout(const FIX::SessionID &id) override {
        std::cout << "logout" << std::endl;
        for (auto one = known.begin(); one != known.end();)
            one = one->first == id ? known.erase(one) : std::next(one);
    }

    void fromApp(const FIX::Message &message, const FIX::SessionID &id)
        throw(FIX::FieldNotFound, FIX::IncorrectDataFormat, FIX::IncorrectTagValue,
              FIX::UnsupportedMessageType) override {
        const std::string kind = message.getHeader().getField(35);
        const bool is_order = kind == "D";
        if (++seen <= 1000)   // whoever reads may have stopped
            std::cout << kind << " " << message.getHeader().getField(34) << " "
                      << (is_order ? message.getField(11) : std::string("-")) << std::endl;
        if (left >= 0)
            return;
        if (!is_order && kind != "C" && kind != "d")
            throw FIX::UnsupportedMessageType();
        FIX::Header fresh;
        fresh.setField(35, kind);
        if (message.getHeader().isSetField(97) && message.getHeader().getField(97) == "Y") {
            if (is_order && known.count({id, message.getField(11)}))
                return;
            fresh.setField(97, "Y");
        }
        if (is_order)
            known.insert({id, message.getField(11)});
        FIX::Message echo = message;
        echo.getHeader() = fresh;
        FIX::Session::sendToTarget(echo, id);
    }

    int left;       // orders to be sent; below zero: echo
    int seen = 0;
    std::set<std::pair<FIX::SessionID, std::string>> known;
};

int main(int count, char **words) {
    const bool is_acceptor = std::string(words[2]) == "acceptor";
    FIX::SessionSettings settings(words[1]);
    Echo application(is_acceptor ? -1 : std::stoi(words[3]));
    FIX::FileStoreFactory stores(settings);
    std::string line;
    if (is_acceptor) {
        FIX::SocketAcceptor engine(application, stores, settings);
        engine.start();
        std::cout << "started" << std::endl;
        std::getline(std::cin, line);
        engine.stop();
    } else {
        FIX::SocketInitiator engine(application, stores, settings);
        engine.start();
        std::cout << "started" << std::endl;
        std::getline(std::cin, line);
        engine.stop();
    }
    return count > 9;
}
