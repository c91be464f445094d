# A terminal of JupyterLab is a login shell, for which /etc/profile has set another PATH.
PATH="$HOME/.local/bin:$PATH"
