package dragonfly.hdfs;

import java.net.Socket;
import java.security.cert.CertificateException;
import java.security.cert.X509Certificate;
import java.util.Arrays;
import javax.net.ssl.SSLEngine;
import javax.net.ssl.X509ExtendedTrustManager;

/**
 * Trusts the one certificate whose bytes it knows, whatever stands in it. That the other end has its key is checked by
 * the JDK in any case.
 */
final class OnlyOne extends X509ExtendedTrustManager {
    private final byte[] expected;

    OnlyOne(X509Certificate certificate) throws CertificateException {
        expected = certificate.getEncoded();
    }

    private void check(X509Certificate[] chain) throws CertificateException {
        if (chain.length == 0 || !Arrays.equals(chain[0].getEncoded(), expected)) {
            throw new CertificateException("the other end is not the host that started this plugin");
        }
    }

    @Override
    public void checkClientTrusted(X509Certificate[] chain, String type) throws CertificateException {
        check(chain);
    }

    @Override
    public void checkClientTrusted(X509Certificate[] chain, String type, Socket socket) throws CertificateException {
        check(chain);
    }

    @Override
    public void checkClientTrusted(X509Certificate[] chain, String type, SSLEngine engine) throws CertificateException {
        check(chain);
    }

    @Override
    public void checkServerTrusted(X509Certificate[] chain, String type) throws CertificateException {
        check(chain);
    }

    @Override
    public void checkServerTrusted(X509Certificate[] chain, String type, Socket socket) throws CertificateException {
        check(chain);
    }

    @Override
    public void checkServerTrusted(X509Certificate[] chain, String type, SSLEngine engine) throws CertificateException {
        check(chain);
    }

    @Override
    public X509Certificate[] getAcceptedIssuers() {
        return new X509Certificate[0];
    }
}
