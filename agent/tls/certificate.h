#pragma once

#include <openssl/types.h>

#include <string>
#include <vector>

/// Reading certificates. Whatever they hold may have been chosen by a stranger: the texts are printable and
/// of bounded length.
namespace stickmesh::tls {

/// The DNS names among the subject's alternative names. One that has other characters than a name's is left
/// out: it is nobody's.
std::vector<std::string> dns_names(const X509* certificate);

std::string subject_of(const X509* certificate);
std::string issuer_of(const X509* certificate);

/// "2026-03-01 12:00:00 UTC"
std::string time_text(const ASN1_TIME* time);

}  // namespace stickmesh::tls
