#include "agent/tls/certificate.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "agent/tls/openssl.h"

namespace stickmesh::tls {

namespace {

constexpr std::size_t kLongestName = 200;

bool is_visible(char c) {
  return c > ' ' && c <= '~';
}

// RFC 2253 escapes control characters and all that is not ASCII.
std::string text_of(const X509_NAME* name) {
  const Owned<BIO> out(BIO_new(BIO_s_mem()));
  if (!out || X509_NAME_print_ex(out.get(), name, 0, XN_FLAG_RFC2253) <= 0) return "without a name";
  std::string text(kLongestName, '\0');
  const int size = BIO_read(out.get(), text.data(), static_cast<int>(text.size()));
  text.resize(static_cast<std::size_t>(std::max(size, 0)));
  return text.empty() ? "without a name" : text;
}

}  // namespace

std::vector<std::string> dns_names(const X509* certificate) {
  std::vector<std::string> found;
  const Owned<GENERAL_NAMES> names(
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
  for (int index = 0; index < sk_GENERAL_NAME_num(names.get()); ++index) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), index);
    if (name->type != GEN_DNS) continue;
    const auto* data = reinterpret_cast<const char*>(ASN1_STRING_get0_data(name->d.dNSName));
    const std::string_view text(data, static_cast<std::size_t>(ASN1_STRING_length(name->d.dNSName)));
    if (!text.empty() && std::all_of(text.begin(), text.end(), is_visible)) found.emplace_back(text);
  }
  return found;
}

std::string subject_of(const X509* certificate) {
  return text_of(X509_get_subject_name(certificate));
}

std::string issuer_of(const X509* certificate) {
  return text_of(X509_get_issuer_name(certificate));
}

std::string time_text(const ASN1_TIME* time) {
  tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return "an unknown time";
  return fmt::format("{:04}-{:02}-{:02} {:02}:{:02}:{:02} UTC", parts.tm_year + 1900, parts.tm_mon + 1,
                     parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec);
}

}  // namespace stickmesh::tls
