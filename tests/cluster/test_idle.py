"""What nobody uses ends: kernels, then servers; homes stay."""

from person import told
from testbed import TENANT, Testbed, until

IDLE = "    idle: {serverMinutes: 1, kernelMinutes: 1}\n"
CULLED = 150
"""Seconds: a minute of nothing, what the looks are apart, and what the proxy's clock is behind."""


def test_idle_kernels_and_idle_servers_end_and_homes_stay(bed: Testbed) -> None:
    with bed.changed() as file:
        text = file.read_text()
        assert "    homeSize: 1Gi\n" in text
        file.write_text(text.replace("    homeSize: 1Gi\n", f"    homeSize: 1Gi\n{IDLE}"))
        bed.apply()
        bed.whole()
        away, reads = bed.person("ada"), bed.person("grace")
        for person in (away, reads):
            person.end()
            assert person.start(profile="small", tenant=TENANT).status_code in (201, 202)
        for person in (away, reads):
            person.ready()
            person.kernel().run("x = 1")
        away.write("kept.txt", "still here")
        path = reads.enter()

        def kernels() -> bool | None:
            answer = reads.jupyter("GET", path, "kernels")
            assert answer.status_code == 200, told(answer)
            return None if answer.json() else True

        until(kernels, CULLED, "the kernel of a server that is in use")
        assert (reads.server() or {}).get("ready")
        away.gone(seconds=CULLED)
        reads.end()
        assert away.start().status_code in (201, 202)
        away.ready()
        assert away.read("kept.txt") == "still here"
        away.end()
